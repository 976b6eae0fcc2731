"""The SDL says what official clients ask; our own documents ask for nothing else."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from graphql import GraphQLObjectType, GraphQLSchema, build_schema, validate_schema

from backhaul.wire import documents as our_documents

_ROOT = Path(__file__).parents[2]
_SDL_PATH = _ROOT / "src" / "backhaul" / "depot" / "graphql" / "schema.graphql"
_SDL = _SDL_PATH.read_text("utf-8")

# Launch, which the SDL leaves out on purpose: clients look for these fields before they use them.
_LAUNCH_OPERATIONS = {
    "ackRunQueueItem",
    "createLaunchAgent",
    "DeleteFromRunQueue",
    "DeleteRunQueue",
    "failRunQueueItem",
    "fetchRunQueuesFromProject",
    "GetDefaultResourceConfig",
    "GetRunQueueItem",
    "GetRunQueueItems",
    "GetRunQueueMetadata",
    "LaunchAgent",
    "popFromRunQueue",
    "ProjectRunQueues",
    "pushToRunQueue",
    "pushToRunQueueByName",
    "updateLaunchAgent",
    "updateRunQueueItemWarning",
}

# Clients send an empty object, and an input type must have a field.
_WITHOUT_NOTE = ["CreateAnonymousEntityInput.clientMutationId"]


def _load_scripts() -> None:
    folder = _ROOT / "scripts" / "operations"
    spec = importlib.util.spec_from_file_location(
        "operations", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["operations"] = package
    spec.loader.exec_module(package)


_load_scripts()
_notes, _report, _sources, _documents = (
    importlib.import_module(f"operations.{name}") for name in ("notes", "report", "sources", "documents")
)


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema(_SDL)


@pytest.fixture(scope="module")
def installed() -> Any:
    """What the installed SDK asks, held against the SDL."""
    spec = importlib.util.find_spec("wandb")
    assert spec is not None
    assert spec.origin is not None
    return _report.examine(build_schema(_SDL), [_sources.read_release(Path(spec.origin).parent)])


def _release(folder: Path, version: str = "0.99.0", **files: str) -> Path:
    """A client of our own making."""
    (folder / "wandb").mkdir()
    (folder / "wandb" / "__init__.py").write_text(f'__version__ = "{version}"\n')
    for name, text in files.items():
        (folder / "wandb" / f"{name}.py").write_text(text)
    return folder


def _texts_of(module: ModuleType) -> dict[str, str]:
    """The GraphQL in a module's constants, whether they are texts or hold one."""
    texts = {name: getattr(value, "text", value) for name, value in vars(module).items() if name.isupper()}
    return {name: text for name, text in texts.items() if isinstance(text, str) and not name.startswith("_")}


# The file itself


def test_the_sdl_is_a_valid_schema(schema: GraphQLSchema) -> None:
    """Every type that is named is defined, and interfaces are implemented in full."""
    assert validate_schema(schema) == []


def test_every_coordinate_says_where_it_was_seen() -> None:
    """Nothing stands in the SDL that no client asked for, but for a listed exception."""
    noted = _notes.spans_in(_SDL)
    assert [coordinate for coordinate in _notes.coordinates_in(_SDL) if coordinate not in noted] == _WITHOUT_NOTE


def test_launch_is_absent_so_that_clients_see_that_it_is_not_supported(schema: GraphQLSchema) -> None:
    """Old clients decide by a field's presence."""
    fields = [name for kind in (schema.query_type, schema.mutation_type) if kind for name in kind.fields]
    assert [name for name in fields if re.search("run_?queue|launch", name, re.IGNORECASE)] == []
    assert schema.get_type("LaunchAgent") is None


def test_the_reference_page_names_what_the_depot_answers(schema: GraphQLSchema) -> None:
    """Its table holds each root field once, on the side where the depot has it."""
    from backhaul.depot.graphql.schema import RESOLVERS

    rows = re.findall(r"^\| ([^|]*) \|([^|]*)\|([^|]*)\|$", (_ROOT / "docs/reference/graphql.md").read_text(), re.M)
    answered, missing = (sorted(re.findall(r"`(\w+)`", " ".join(row[side] for row in rows))) for side in (1, 2))
    roots = [kind for kind in (schema.query_type, schema.mutation_type) if isinstance(kind, GraphQLObjectType)]
    assert answered == sorted(name for kind in roots for name in kind.fields if name in RESOLVERS[kind.name])
    assert missing == sorted(name for kind in roots for name in kind.fields if name not in RESOLVERS[kind.name])


# The official client


def test_documents_of_the_installed_sdk_validate(installed: Any) -> None:
    """The SDL has all that the client asks, but for launch."""
    assert [(document.name, errors) for document, errors in installed.invalid] == []
    assert {document.name for document in installed.launch} == _LAUNCH_OPERATIONS


def test_no_document_of_the_installed_sdk_is_passed_over(installed: Any) -> None:
    """A text that looks like an operation is read; operations of every part of the client are among them."""
    assert installed.unread == []
    names = {document.name for document in installed.valid}
    assert {"Run", "Runs", "RunFiles", "RunFullHistory", "GetProjects", "UseArtifact", "GetEntityAutomations"} <= names


def test_notes_reach_the_installed_sdk(installed: Any) -> None:
    """What the newest client asks is noted as seen up to its version: the notes are not stale."""
    noted = _notes.spans_in(_SDL)
    behind = [
        (coordinate, str(noted.get(coordinate)))
        for coordinate, versions in installed.seen.items()
        if coordinate not in noted or not {noted[coordinate].last} >= versions
    ]
    assert behind == []


# Our own documents


def test_our_documents_are_found() -> None:
    """The test below does not pass for want of documents."""
    assert {"VIEWER", "UPSERT_BUCKET", "RUN_FILES"} <= _texts_of(our_documents).keys()


@pytest.mark.parametrize(
    ("name", "text"), [*_texts_of(our_documents).items(), ("run_statuses", our_documents.run_statuses(3).text)]
)
def test_nothing_of_ours_asks_what_no_official_client_ever_asked(name: str, text: str) -> None:
    """Each of our documents validates, and each field, argument and input field in it was seen in a client."""
    assert (name, _report.never_asked(_SDL, text)) == (name, [])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("query { viewer { shoeSize } }", "shoeSize"),
        ('query { project(name: "p", colour: "red") { id } }', "colour"),
        ('mutation { upsertBucket(input: {name: "r", mood: "good"}) { inserted } }', "mood"),
        ("mutation { createAnonymousEntity(input: {clientMutationId: null}) { apiKey { name } } }", "clientMutationId"),
    ],
)
def test_what_no_client_asked_is_told(text: str, told: str) -> None:
    """An unknown field, argument or input field is named, and so is one that only the SDL has."""
    assert any(told in line for line in _report.never_asked(_SDL, text))


# The collector

_PIECES = '''
FRAGMENT = """fragment Light on Run { id name }"""
NEEDED = "tags"

def edges(server):
    return "runs" if server else "buckets"

class Query:
    PLAIN = gql("query Plain { viewer { id } }")
    PERCENT = gql("""query Percent { project(name: "p") { runs { edges { node { ...Light } } } } } %s""" % FRAGMENT)
    FORMAT = "query Format {{ viewer {{ {} }} }}".format("email")

    def call(self, full, fragment_name):
        template = """query Replaced { viewer { _MORE_ } }"""
        if full:
            template = template.replace("_MORE_", "id username")
        else:
            template = template.replace("_MORE_", "id")
        self.execute(gql(template))
        self.execute(f"query Formatted {{ project {{ run(name: \\"r\\") {{ id {NEEDED} }} }} }}")
        self.execute("query Returned { project { " + edges(full) + "(first: 1) { edges { node { id } } } } }")
        self.execute(f"query Chosen {{ project {{ run(name: \\"r\\") {{ ...{fragment_name} }} }} }}")
        names = ["id"]
        if full:
            names.append("email")
            names += ["username"]
        self.execute("query Joined { viewer { " + " ".join(names) + " } }")
        self.execute("query Hidden { project { " + self.unknown() + " } }")
'''


def test_documents_are_read_however_the_client_builds_them(tmp_path: Path) -> None:
    """Each way of gluing gives the document that is sent; both ways of a condition are read; the rest is reported."""
    documents, unread = _documents.documents_of(_sources.read_release(_release(tmp_path, pieces=_PIECES)))
    printed: dict[str, list[str]] = {}
    for document in documents:
        printed.setdefault(document.name, []).append(re.sub(r"\s+", " ", _documents.print_ast(document.node)))
    assert printed == {
        "Plain": ["query Plain { viewer { id } }"],
        "Percent": [
            'query Percent { project(name: "p") { runs { edges { node { ...Light } } } } } '
            "fragment Light on Run { id name }"
        ],
        "Format": ["query Format { viewer { email } }"],
        "Replaced": ["query Replaced { viewer { id username } }", "query Replaced { viewer { id } }"],
        "Formatted": ['query Formatted { project { run(name: "r") { id tags } } }'],
        "Joined": ["query Joined { viewer { id email username } }", "query Joined { viewer { id } }"],
        "Returned": [
            "query Returned { project { buckets(first: 1) { edges { node { id } } } } }",
            "query Returned { project { runs(first: 1) { edges { node { id } } } } }",
        ],
        "Chosen": ['query Chosen { project { run(name: "r") { ...Light } } } fragment Light on Run { id name }'],
    }
    assert [text.name for text in unread] == ["Hidden"]


def test_wheels_and_sdists_read_as_their_folder_does(tmp_path: Path) -> None:
    """What the client asks does not depend on how its release is packed."""
    folder = _release(tmp_path, pieces=_PIECES)
    with zipfile.ZipFile(tmp_path / "packed.whl", "w") as wheel:
        for file in sorted((folder / "wandb").iterdir()):
            wheel.write(file, f"wandb/{file.name}")
    with tarfile.open(tmp_path / "packed.tar.gz", "w:gz") as sdist:
        sdist.add(folder / "wandb", "wandb-0.99.0/wandb")
    paths = [folder, folder / "wandb", tmp_path / "packed.whl", tmp_path / "packed.tar.gz"]
    releases = [_sources.read_release(path) for path in paths]
    asked = [sorted(document.name for document in _documents.documents_of(release)[0]) for release in releases]
    assert [release.version for release in releases] == ["0.99.0"] * 4
    assert asked == [asked[0]] * 4
    assert "Formatted" in asked[0]


def test_a_path_without_a_release_is_refused(tmp_path: Path) -> None:
    """A wrong path is told, not reported as a client that asks for nothing."""
    with pytest.raises(_sources.NotARelease, match="no release"):
        _sources.read_release(tmp_path)


def test_generated_input_types_show_what_a_variable_may_hold(tmp_path: Path, schema: GraphQLSchema) -> None:
    """Optional input fields come from generated code, required ones from the document that sends the type."""
    folder = _release(
        tmp_path,
        call="""
Q = gql("mutation Tag($t: [TagInput!]) { updateArtifact(input: {artifactID: 1, tagsToAdd: $t}) { artifact { id } } }")
""",
    )
    (folder / "wandb" / "_generated").mkdir()
    (folder / "wandb" / "_generated" / "input_types.py").write_text(
        'class TagInput(GQLInput):\n    tag_category_name: str | None = Field(alias="tagCategoryName")\n'
    )
    seen = _report.examine(schema, [_sources.read_release(folder)]).seen
    assert {name for name in seen if name.startswith("TagInput.")} == {"TagInput.tagName", "TagInput.tagCategoryName"}


# The notes

_SMALL = """# A comment stays.
type Query {
  "Prose stays. Seen: 0.16.6."
  old(a: Int, "Seen: 0.16.6." b: Int): Int
  fresh: Int
}
"""


def test_notes_are_widened_and_nothing_else_changes() -> None:
    """Prose and comments stay, spans grow, and an argument needs a note only where it differs from its field."""
    seen = {"Query.old": {"0.15.12", "0.18.7"}, "Query.old(b:)": {"0.9.0", "0.31.0"}, "Query.fresh": {"0.31.0"}}
    assert (
        _notes.with_notes(_SMALL, seen)
        == """# A comment stays.
type Query {
  "Prose stays. Seen: 0.15.12–0.18.7."
  old("Seen: 0.16.6." a: Int, "Seen: 0.9.0–0.31.0." b: Int): Int
  "Seen: 0.31.0."
  fresh: Int
}
"""
    )


def test_writing_the_notes_again_changes_nothing() -> None:
    """Diffs show news only."""
    spans = _notes.spans_in(_SDL)
    seen = {coordinate: {span.first, span.last} for coordinate, span in spans.items()}
    assert _notes.with_notes(_SDL, seen) == _SDL


def test_the_script_names_what_does_not_validate(tmp_path: Path) -> None:
    """Its exit code says that something is wrong; its report says which release asks for what, and where."""
    folder = _release(tmp_path, call='QUERY = "query Odd { viewer { shoeSize } }"')
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(_ROOT / "scripts" / "collect-operations"), folder.name]
    done = subprocess.run(
        command, cwd=tmp_path.parent, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "INVALID 0.99.0 Odd (wandb/call.py): Cannot query field 'shoeSize' on type 'User'." in done.stdout
