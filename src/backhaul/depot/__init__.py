"""The depot: a W&B-compatible server, for sites that never reach the internet, and for trying things out."""

from __future__ import annotations

from backhaul.depot.keys import new_key
from backhaul.depot.model import Role, User
from backhaul.depot.place import Place
from backhaul.depot.reach import Reach
from backhaul.depot.refusal import Refused
from backhaul.depot.service import Depot
from backhaul.depot.store import Users

__all__ = ["Depot", "Place", "Reach", "Refused", "Role", "User", "Users", "new_key"]
