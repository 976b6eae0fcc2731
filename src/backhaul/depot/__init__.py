"""The depot: a W&B-compatible server, for sites that never reach the internet, and for trying things out."""

from __future__ import annotations

from backhaul.depot.keys import new_key
from backhaul.depot.model import Role, User
from backhaul.depot.place import Place
from backhaul.depot.reach import Reach
from backhaul.depot.refusal import Refused
from backhaul.depot.service import Depot
from backhaul.depot.store import Users
from backhaul.depot.store.s3.place import S3Place
from backhaul.depot.store.unusable import PlaceRefused, PlaceUnreachable

__all__ = [
    "Depot",
    "Place",
    "PlaceRefused",
    "PlaceUnreachable",
    "Reach",
    "Refused",
    "Role",
    "S3Place",
    "User",
    "Users",
    "new_key",
]
