"""The files of a run as clients list them."""

from __future__ import annotations

import base64
import mimetypes
import re
from dataclasses import dataclass
from typing import Any

from backhaul.depot import names
from backhaul.depot.addresses import Target
from backhaul.depot.graphql.connections import connection
from backhaul.depot.graphql.context import Args, Context, Resolvers, text
from backhaul.depot.graphql.identifiers import of_file
from backhaul.depot.graphql.times import iso
from backhaul.depot.model import Run, StoredFile


@dataclass(frozen=True, slots=True)
class FileNode:
    """A file of a run, or the place of one that was asked for by name and is not there yet."""

    run: Run
    name: str
    stored: StoredFile | None
    straight: str | None = None
    """Where it may be PUT without passing through the depot."""

    @property
    def target(self) -> Target:
        """What an address of the file is for."""
        return Target(self.run.project.entity, self.run.project.name, self.run.name, self.name)


def upload_address(run: Run, name: str, context: Context) -> str:
    """An address to which the run's file may be PUT. Refused with 400 for a name that is not allowed."""
    return context.address("PUT", FileNode(run, names.file_name(name), None).target)


def of_run(run: Run, context: Context, args: Args) -> Any:
    """The connection of a run's files: all, those of given `names` in that order, or those like `pattern`.

    A name that was asked for and is not there gives a node without content, as the official server does: engines up
    to 0.12 ask for upload addresses in this way.
    """
    context.services.look(run)
    stored = {file.name: file for file in context.store.files(run.id)}
    wanted, pattern = args.get("names"), text(args, "pattern")
    nodes = [FileNode(run, name, stored.get(name)) for name in wanted or stored]
    if pattern:
        like = _like(pattern)
        nodes = [node for node in nodes if like.fullmatch(node.name)]
    return {**connection(nodes, args), "uploadHeaders": []}


def count(run: Run, context: Context, _args: Args) -> int:
    """How many files a run has."""
    context.services.look(run)
    return len(context.store.files(run.id))


def _like(pattern: str) -> re.Pattern[str]:
    """SQL's LIKE: `%` is any text, `_` any character.

    What follows a `%` is taken where it comes first and never looked for again, which finds the same and takes no time
    that grows with a power of the length.
    """
    first, *rest = ("".join("." if each == "_" else re.escape(each) for each in part) for part in pattern.split("%"))
    between = "".join(f"(?>.*?{part})" for part in rest[:-1])
    return re.compile(first + between + (f".*{rest[-1]}" if rest else ""), re.DOTALL)


def _url(node: FileNode, context: Context, args: Args) -> str | None:
    if args.get("upload"):
        return upload_address(node.run, node.name, context)
    return context.base.rstrip("/") + node.target.path("/files") if node.stored else None


def _direct_url(node: FileNode, context: Context, _args: Args) -> str | None:
    return context.address("GET", node.target) if node.stored else None


def _md5(node: FileNode, _context: Context, _args: Args) -> str:
    """Base64; `0` says that there is no such file, which `wandb.restore` looks for."""
    return base64.b64encode(bytes.fromhex(node.stored.md5)).decode() if node.stored else "0"


def made_file(identifier: str, name: str, **fields: Any) -> dict[str, Any]:
    """A file of an artifact, or its manifest, with every field that `FILE` would else look for in a run's file."""
    nothing: dict[str, Any] = dict.fromkeys(FILE)
    given = {"id": identifier, "name": name, "displayName": name, "sizeBytes": 0, "uploadHeaders": [], "mimetype": ""}
    return nothing | {"artifact": None, "uploadMultipartUrls": None} | given | fields


FILE: Resolvers = {
    "id": lambda node, _c, _a: of_file(node.run, node.name),
    "name": lambda node, _c, _a: node.name,
    "displayName": lambda node, _c, _a: node.name,
    "url": _url,
    "directUrl": _direct_url,
    "uploadUrl": lambda node, context, _a: node.straight or upload_address(node.run, node.name, context),
    "uploadHeaders": lambda _n, _c, _a: [],
    "sizeBytes": lambda node, _c, _a: node.stored.size if node.stored else 0,
    "mimetype": lambda node, _c, _a: mimetypes.guess_type(node.name)[0] or "",
    "updatedAt": lambda node, _c, _a: iso(node.stored.updated_at) if node.stored else None,
    "md5": _md5,
    "digest": _md5,
    "storagePath": lambda node, _c, _a: node.name,
}
