"""One of the errors of a transport, apart from it: who only asks for it need not load the HTTP library."""

from __future__ import annotations

from backhaul.errors import TimedOut


class ConnectTimedOut(TimedOut):
    """No connection came about in the time allowed: a firewall that drops, or a host that is away."""
