"""Notices of a cloud that it will take the machine away: AWS spot instances, GCP preemptible ones, Azure spot ones.

Each cloud tells its machines over HTTP at a link-local address. Asking is a function of `Ask`, the door to it; so a
test puts a server of its own there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

ADDRESSES = {
    "aws": "http://169.254.169.254",
    "gcp": "http://metadata.google.internal",
    "azure": "http://169.254.169.254",
}
_DMI = Path("/sys/class/dmi/id")
_AZURE_TAG = "7783-7084-3265-9085-8269-3286-77"
# AWS gives tokens for six hours at most.
_TOKEN_SECONDS = "21600"
_ENDS_THE_JOB = frozenset({"Preempt", "Terminate", "Reboot", "Redeploy"})


class Ask(Protocol):
    """One request to the metadata service: status and text. Raises OSError when nobody answers."""

    def __call__(self, method: str, path: str, headers: Mapping[str, str], timeout: float) -> tuple[int, str]:
        """Ask, and wait for `timeout` seconds at most."""


@dataclass(frozen=True, slots=True)
class Notice:
    """That the machine will be taken away: what the cloud calls it, and when, in the cloud's words (may be empty)."""

    cloud: str
    what: str
    when: str = ""

    def __str__(self) -> str:
        return f"{self.cloud} announces: {self.what}" + (f" at {self.when}" if self.when else "")


@dataclass(slots=True)
class Aws:
    """Spot instances: `spot/instance-action`, asked with a session token (IMDSv2)."""

    ask: Ask
    _token: str = ""

    every = 5.0

    def __call__(self) -> Notice | None:
        """The notice, if there is one. Raises OSError."""
        status, text = self._get()
        if status == 401:
            self._token = ""
            status, text = self._get()
        if status != 200:
            # 404 is the answer as long as nothing is planned.
            return None
        told = _object(text)
        return Notice("AWS", f"spot {told.get('action', 'interruption')}", str(told.get("time", "")))

    def _get(self) -> tuple[int, str]:
        if not self._token:
            seconds = {"X-aws-ec2-metadata-token-ttl-seconds": _TOKEN_SECONDS}
            status, token = self.ask("PUT", "/latest/api/token", seconds, 2.0)
            if status != 200:
                return status, ""
            self._token = token
        path = "/latest/meta-data/spot/instance-action"
        return self.ask("GET", path, {"X-aws-ec2-metadata-token": self._token}, 2.0)


@dataclass(slots=True)
class Gcp:
    """Preemptible and spot machines: `preempted`, an answer that comes when it changes or after a minute."""

    ask: Ask
    # The first question is answered at once: the change may have been before it.
    _waits: bool = False

    every = 0.5
    _headers = {"Metadata-Flavor": "Google"}  # noqa: RUF012 - never changed

    def __call__(self) -> Notice | None:
        """The notice, if there is one. Raises OSError."""
        question = "?wait_for_change=true&timeout_sec=60" if self._waits else ""
        status, text = self.ask("GET", f"/computeMetadata/v1/instance/preempted{question}", self._headers, 70.0)
        self._waits = status == 200
        return Notice("GCP", "preemption") if status == 200 and text.strip().upper() == "TRUE" else None


@dataclass(slots=True)
class Azure:
    """Spot machines and scale sets: scheduled events that end what runs on this machine."""

    ask: Ask
    _name: str | None = None

    every = 5.0
    _headers = {"Metadata": "true"}  # noqa: RUF012 - never changed

    def __call__(self) -> Notice | None:
        """The notice, if there is one. Raises OSError."""
        # The first answer may take the service two minutes, while it is being switched on for this machine.
        status, text = self.ask("GET", "/metadata/scheduledevents?api-version=2020-07-01", self._headers, 130.0)
        events = _object(text).get("Events", []) if status == 200 else []
        for event in events if isinstance(events, list) else []:
            if isinstance(event, dict) and event.get("EventType") in _ENDS_THE_JOB and self._is_meant(event):
                return Notice("Azure", str(event["EventType"]), str(event.get("NotBefore", "")))
        return None

    def _is_meant(self, event: Mapping[str, Any]) -> bool:
        """Whether this machine is among the event's: the service tells those of the whole scale set."""
        resources = event.get("Resources")
        if self._name is None:
            path = "/metadata/instance/compute/name?api-version=2021-02-01&format=text"
            status, text = self.ask("GET", path, self._headers, 2.0)
            self._name = text.strip() if status == 200 else ""
        return not self._name or not resources or self._name in resources


CLOUDS: Mapping[str, Callable[[Ask], Aws | Gcp | Azure]] = {"aws": Aws, "gcp": Gcp, "azure": Azure}


def cloud_of_this_machine(dmi: Path = _DMI) -> str | None:
    """The cloud that this machine is in, by what its firmware says; None elsewhere, where nobody is to be asked."""
    vendor, product, tag = (_line(dmi / name) for name in ("sys_vendor", "product_name", "chassis_asset_tag"))
    if vendor.startswith("Amazon"):
        return "aws"
    if product.startswith("Google"):
        return "gcp"
    return "azure" if tag == _AZURE_TAG else None


@dataclass(slots=True)
class HttpAsk:
    """`Ask` over HTTP, straight to `address`: a proxy would answer for another machine."""

    address: str
    _opener: Any = field(default=None)

    def __call__(self, method: str, path: str, headers: Mapping[str, str], timeout: float) -> tuple[int, str]:
        """Ask, and wait for `timeout` seconds at most. Raises OSError when nobody answers."""
        from http.client import HTTPException
        from urllib.error import HTTPError
        from urllib.request import ProxyHandler, Request, build_opener

        if self._opener is None:
            self._opener = build_opener(ProxyHandler({}))
        try:
            request = Request(self.address.rstrip("/") + path, method=method, headers=dict(headers))
            with self._opener.open(request, timeout=timeout) as answer:
                return answer.status, answer.read(1 << 20).decode("utf-8", "replace")
        except HTTPError as error:
            return error.code, ""
        except (HTTPException, ValueError) as error:
            raise OSError(f"{self.address}: {error}") from error


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
