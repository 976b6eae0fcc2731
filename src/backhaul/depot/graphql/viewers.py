"""Who asks, whose runs they are, and what this server is."""

from __future__ import annotations

from typing import Any

from backhaul.depot.graphql.connections import connection
from backhaul.depot.graphql.context import Args, Context, Resolvers
from backhaul.depot.graphql.identifiers import encode
from backhaul.depot.model import Role, User

FEATURES = (
    "ARTIFACT_COLLECTION_MEMBERSHIP_FILES",
    "LARGE_FILENAMES",
    "PROJECT_ARTIFACT_COLLECTION_MEMBERSHIP",
    "USE_ARTIFACT_WITH_ENTITY_AND_PROJECT_INFORMATION",
    "CLIENT_IDS",
    "TOTAL_COUNT_IN_FILE_CONNECTION",
    "MARK_RUN_FILES_UPLOADED",
    "ARTIFACT_TAGS",
    "ARTIFACT_MEMBERSHIP_IN_LINK_ARTIFACT_RESPONSE",
    "FILESTREAM_GZIP",
    "UPDATE_RUN_STATE",
)
"""The flags that change what a client asks, and that this depot answers. All others count as off."""


def viewer(context: Context) -> dict[str, Any]:
    """Who asks. Their key is told by its first characters, as key lists do."""
    name = context.user.name
    teams = [entity(each, context.user) for each in (name, *sorted(context.user.teams - {name}))]
    keys = [{"id": context.key_start, "name": context.key_start, "description": None}] if context.key_start else []
    own = {"teams": connection(teams, {}), "apiKeys": connection(keys, {})}
    return user(name, context.user.admin) | own


def user(name: str, admin: bool = False) -> dict[str, Any]:
    """Somebody by name, which is also that of an entity."""
    return {
        "id": encode("User", name),
        "name": name,
        "username": name,
        "email": "",
        "admin": admin,
        "flags": '{"code_saving_enabled": true}',
        "entity": name,
        "deletedAt": None,
        "teams": connection([], {}),
        "apiKeys": connection([], {}),
        "organizations": [],
    }


def entity(name: str, user: User) -> dict[str, Any]:
    """An entity, as the user finds it: a name under which projects are kept."""
    team = name in user.teams
    reads = user.role is Role.VIEWER
    return {
        "id": encode("Entity", name),
        "name": name,
        "isTeam": team,
        "readOnlyUser": reads,
        "organization": None,
        "xxhashDigestsEnabled": False,
        "available": False,
        "photoUrl": None,
        "readOnly": reads,
        "readOnlyAdmin": False,
        "privateOnly": True,
        "codeSavingEnabled": True,
        "defaultAccess": "PRIVATE",
        "isPaid": False,
        "limits": None,
        "storageBytes": 0,
        "entityType": "team" if team else "user",
        "members": [] if team else [_member(name)],
        "integrations": connection([], {}),
    }


def _member(name: str) -> dict[str, Any]:
    """The one member of an entity: the user of that name."""
    nothing: dict[str, Any] = dict.fromkeys(("photoUrl", "apiKey"))
    role = {"role": "admin", "admin": True, "pending": False, "accountType": "USER"}
    return nothing | role | {"id": encode("Member", name), "name": name, "username": name, "email": ""}


def _entity_project(source: Any, context: Context, args: Args) -> Any:
    return context.store.project(source["name"], args.get("name") or "")


def _entity_projects(source: Any, context: Context, args: Args) -> Any:
    return connection(context.store.projects(source["name"]), args)


def _entity_user(source: Any, _context: Context, _args: Args) -> Any:
    return user(source["name"])


ENTITY: Resolvers = {"project": _entity_project, "projects": _entity_projects, "user": _entity_user}

USER: Resolvers = {"projects": _entity_projects}

SERVER_INFO: Resolvers = {
    "cliVersionInfo": lambda _s, _c, _a: {"min_cli_version": "0.8.0", "max_cli_version": "99.0.0"},
    "latestLocalVersionInfo": lambda _s, _c, _a: None,
    "features": lambda _s, _c, _a: [{"name": name, "isEnabled": True} for name in FEATURES],
}
