"""The other pages of a run, and those of artifacts, in a real browser."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import urllib.request
import zlib
from typing import TYPE_CHECKING

from playwright.sync_api import Page, expect

from tests.browser.conftest import post, put_file, record
from tests.waiting import until

if TYPE_CHECKING:
    from tests.conftest import DepotProcess


def _png() -> bytes:
    """A picture of 2 × 1 points."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", 2, 1, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" + bytes([200, 30, 30, 30, 30, 200]))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_overview_tells_config_summary_and_where_it_ran(page: Page, depot: DepotProcess, project: str) -> None:
    """Of ten thousand keys the first are shown, and a search finds the others; metadata come from the run's file."""
    config = {f"Option{n:05}": {"value": n} for n in range(10_000)}
    path = record(depot, project, [{"acc": 0.5}], config=json.dumps(config | {"net": {"value": {"width": 7}}}))
    metadata = {"host": "node-17", "args": ["--lr", "1"], "git": {"remote": "git@h:x.git", "commit": "abc123"}}
    put_file(depot, project, "wandb-metadata.json", json.dumps(metadata).encode())
    page.goto(f"{path}/overview")
    expect(page.get_by_role("row", name="acc 0.5")).to_be_visible()
    expect(page.get_by_role("row", name="Option00998 998")).to_be_visible()
    assert page.get_by_role("row", name="Option09999").count() == 0
    for text in ("Host node-17", "Arguments --lr 1", "Git commit abc123"):
        expect(page.get_by_role("row", name=text)).to_be_visible()
    page.get_by_label("Search keys and values").fill("OPTION09999")
    page.keyboard.press("Enter")
    expect(page.get_by_role("row", name="Option09999 9999")).to_be_visible()
    assert page.get_by_role("row", name="Option00998").count() == 0


def test_a_long_console_is_paged_and_coloured(page: Page, depot: DepotProcess, project: str) -> None:
    """Its end comes first; colours become classes, what moves a cursor goes, errors stand out."""
    lines = [f"2026-11-22T10:03:04 line {number}" for number in range(2500)]
    lines[-1] = "ERROR 2026-11-22T10:03:04 \x1b[2J\x1b[1;31mred\x1b[0m plain\x07"
    path = record(depot, project, [{"x": 1}], console=tuple(lines))
    page.goto(f"{path}/logs")
    shown = page.locator(".console .line")
    expect(shown).to_have_count(1000)
    expect(shown.last).to_have_text("red plain")
    expect(shown.last).to_have_class("line error")
    expect(shown.last.locator(".bold.ink1")).to_have_text("red")
    expect(shown.first).to_have_text("line 1500")
    page.get_by_role("link", name="Earlier").click()
    expect(shown.first).to_have_text("line 500")
    page.get_by_role("link", name="Start").click()
    expect(shown.first).to_have_text("line 0")
    expect(page.get_by_text("Lines 1–1,000 of 2,500")).to_be_visible()
    page.get_by_role("link", name="Later").click()
    expect(shown.first).to_have_text("line 1000")


def test_files_are_a_tree_and_small_texts_open(page: Page, depot: DepotProcess, project: str) -> None:
    """Folders tell how much is below; a text opens on the page, anything is downloaded whole."""
    path = record(depot, project, [{"x": 1}])
    put_file(depot, project, "conf/deep/über uns.yaml", b"lr: 1 # <b>" + b" " * 989)
    put_file(depot, project, "conf/model.bin", bytes(2000))
    page.goto(f"{path}/files")
    expect(page.get_by_role("row", name="conf/ 2 3.0 kB")).to_be_visible()
    page.get_by_role("link", name="conf/").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="model.bin").click()
    assert download.value.path().read_bytes() == bytes(2000)
    page.get_by_role("link", name="deep/").click()
    page.get_by_role("link", name="über uns.yaml", exact=True).click()
    expect(page.locator("pre.text")).to_have_text("lr: 1 # <b>")
    page.get_by_role("link", name="Files", exact=True).last.click()
    expect(page.get_by_role("link", name="conf/")).to_be_visible()


def test_images_tables_and_histograms_are_shown(page: Page, depot: DepotProcess, project: str) -> None:
    """The last of each key, then all steps of one; a table shows its first rows and tells how many there are."""
    table = {"columns": ["id", "guess"], "data": [[n, f"cat {n} <b>"] for n in range(25)]}
    rows = [
        {
            "pic": {"_type": "image-file", "path": f"media/pic_{step}.png", "caption": f"at {step}"},
            "grads": {"_type": "histogram", "values": [1, 4, step], "bins": [0, 1, 2, 3]},
            "out": {"_type": "table-file", "path": "media/out.table.json"},
        }
        for step in range(2)
    ]
    path = record(depot, project, rows)
    put_file(depot, project, "media/pic_0.png", _png())
    put_file(depot, project, "media/pic_1.png", _png())
    put_file(depot, project, "media/out.table.json", json.dumps(table).encode())
    page.goto(f"{path}/media")
    picture = page.get_by_role("img", name="at 1")
    expect(picture).to_be_visible()
    size = "image => [image.naturalWidth, image.naturalHeight]"
    until(lambda: picture.evaluate(size) == [2, 1], "the picture has come")
    assert page.locator("svg.bars rect").count() == 3
    expect(page.get_by_role("row", name="19 cat 19 <b>")).to_be_visible()
    expect(page.get_by_text("20 of 25 rows")).to_be_visible()
    page.get_by_role("link", name="All steps of pic").click()
    expect(page.get_by_role("img")).to_have_count(2)
    expect(page.get_by_role("heading", level=2)).to_have_text(["pic step 1", "pic step 0"])


def test_system_metrics_have_charts_over_time(page: Page, depot: DepotProcess, project: str) -> None:
    """The events stream is drawn over the seconds since the start."""
    events = [{"_runtime": 10 * n, "_timestamp": 1.7e9 + 10 * n, "system.cpu": n} for n in range(50)]
    path = record(depot, project, [{"x": 1}], events=events)
    page.goto(f"{path}/system")
    expect(page.locator(".chart[data-key='system.cpu']")).to_have_attribute("data-drawn", "yes")
    assert page.get_by_label("X axis").locator("option").all_text_contents() == ["Relative time", "Wall time"]
    found = page.request.get(f"{path}/series?stream=system&key=system.cpu").json()["series"]["system.cpu"]
    assert found == {"x": [10.0 * n for n in range(50)], "y": [float(n) for n in range(50)]}


def _log_artifact(depot: DepotProcess, project: str, name: str, files: dict[str, bytes]) -> str:
    """A version with those files and a reference, logged by the run r1; its id."""

    def mutate(field: str, kind: str, variables: object, answer: str) -> dict[str, object]:
        text = f"mutation($i: {kind}!) {{ {field}(input: $i) {{ {answer} }} }}"
        return dict(post(depot, "/graphql", {"query": text, "variables": {"i": variables}})["data"][field])

    def put(address: object, data: bytes) -> None:
        with urllib.request.urlopen(urllib.request.Request(str(address), data, method="PUT"), timeout=120) as reply:
            assert reply.status == 200

    place = {"entityName": "tester", "projectName": project, "runName": "r1"}
    draft = place | {"artifactTypeName": "model", "artifactCollectionName": name, "digest": "d" * 32,
                     "digestAlgorithm": "MANIFEST_MD5", "description": "<b>weights</b>",
                     "aliases": [{"artifactCollectionName": name, "alias": "best"}],
                     "metadata": json.dumps({"acc": 0.5})}  # fmt: skip
    artifact = mutate("createArtifact", "CreateArtifactInput", draft, "artifact { id }")["artifact"]
    assert isinstance(artifact, dict)
    md5 = {file: base64.b64encode(hashlib.md5(data).digest()).decode() for file, data in files.items()}
    specs = [{"artifactID": artifact["id"], "name": file, "md5": digest} for file, digest in md5.items()]
    edges = mutate("createArtifactFiles", "CreateArtifactFilesInput", {"artifactFiles": specs},
                   "files { edges { node { uploadUrl } } }")["files"]["edges"]  # type: ignore[index]  # fmt: skip
    for edge, data in zip(edges, files.values(), strict=True):
        put(edge["node"]["uploadUrl"], data)
    contents = {file: {"digest": md5[file], "size": len(data)} for file, data in files.items()}
    elsewhere = {"far.tar": {"digest": "x", "ref": "javascript:alert(1)", "size": 5}}
    manifest = json.dumps({"version": 1, "contents": contents | elsewhere}).encode()
    wanted = place | {"artifactID": artifact["id"], "name": "wandb_manifest.json",
                      "digest": base64.b64encode(hashlib.md5(manifest).digest()).decode()}  # fmt: skip
    made = mutate("createArtifactManifest", "CreateArtifactManifestInput", wanted,
                  "artifactManifest { file { uploadUrl } }")["artifactManifest"]  # fmt: skip
    put(made["file"]["uploadUrl"], manifest)  # type: ignore[index]
    mutate("commitArtifact", "CommitArtifactInput", {"artifactID": artifact["id"]}, "artifact { id }")
    return str(artifact["id"])


def test_an_artifact_is_followed_from_the_project_to_its_files(page: Page, depot: DepotProcess, project: str) -> None:
    """Type, collection, version; its files, its maker, its users; a reference that is no web address is no link."""
    path = record(depot, project, [{"x": 1}], displayName="the maker")
    artifact = _log_artifact(depot, project, "weights", {"conf/a.yaml": b"lr: 1", "w.bin": b"\0\1"})
    record(depot, project, [{"x": 1}], name="r2", displayName="the user")
    use = {"entityName": "tester", "projectName": project, "runName": "r2", "artifactID": artifact}
    text = "mutation($i: UseArtifactInput!) { useArtifact(input: $i) { artifact { id } } }"
    post(depot, "/graphql", {"query": text, "variables": {"i": use}})
    page.goto(f"/tester/{project}")
    page.get_by_role("link", name="Artifacts").click()
    page.get_by_role("link", name="weights").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("v0bestlatest")
    page.get_by_role("link", name="v0").click()
    expect(page.get_by_text("<b>weights</b>")).to_be_visible()
    expect(page.get_by_role("row", name="acc 0.5")).to_be_visible()
    expect(page.get_by_role("link", name="the user")).to_be_visible()
    assert page.get_by_role("link", name="javascript").count() == 0
    expect(page.get_by_text("javascript:alert(1)")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="conf/a.yaml").click()
    assert (download.value.suggested_filename, download.value.path().read_bytes()) == ("a.yaml", b"lr: 1")
    page.get_by_role("link", name="the maker").click()
    page.wait_for_url(f"**{path}")
    page.get_by_role("link", name="Artifacts").click()
    expect(page.get_by_role("link", name="weights:v0")).to_be_visible()
