"""The releases held against the SDL: what they ask for, what does not validate, what could not be read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from graphql import GraphQLSchema, build_schema, parse

from .definitions import defined_members
from .documents import Document, Unread, documents_of
from .notes import spans_in
from .sources import Release
from .usage import coordinates_of, errors_of, is_launch, members_in


@dataclass
class Findings:
    """What came out of some releases: versions by coordinate, and everything that is not covered."""

    seen: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    valid: list[Document] = field(default_factory=list)
    launch: list[Document] = field(default_factory=list)
    invalid: list[tuple[Document, list[str]]] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The report for a person."""
        lines = [f"{len(self.valid)} documents validate, {len(self.launch)} of launch are left out."]
        for document, errors in self.invalid:
            lines += [f"INVALID {document.version} {document.name} ({document.path}): {error}" for error in errors]
        lines += [f"not covered: {text.version} {text.name} ({text.path}): {text.reason}" for text in self.unread]
        return lines


def examine(schema: GraphQLSchema, releases: Iterable[Release]) -> Findings:
    """Every document of every release against the schema."""
    findings = Findings()
    for release in releases:
        documents, unread = documents_of(release)
        findings.unread += [text for text in unread if not is_launch(text.name)]
        for document in documents:
            _sort_in(schema, document, findings)
        for member in members_in(schema, defined_members(release)):
            findings.seen[member].add(release.version)
    return findings


def _sort_in(schema: GraphQLSchema, document: Document, findings: Findings) -> None:
    errors = errors_of(schema, document.node)
    if not errors:
        findings.valid.append(document)
        for coordinate in coordinates_of(schema, document.node):
            findings.seen[coordinate].add(document.version)
    elif is_launch(document.name):
        findings.launch.append(document)
    else:
        findings.invalid.append((document, errors))


def never_asked(sdl: str, text: str) -> list[str]:
    """What in a document no official client ever asked: errors against the SDL, or coordinates without a note."""
    document = parse(text)
    schema = build_schema(sdl)
    noted = spans_in(sdl)
    errors = errors_of(schema, document)
    return errors or sorted(coordinates_of(schema, document) - noted.keys())
