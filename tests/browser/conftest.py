"""A real browser, signed in at the depot, and runs written as clients write them."""

from __future__ import annotations

import base64
import json
import shutil
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

if TYPE_CHECKING:
    from tests.conftest import DepotProcess

# What a page shows is waited for as long as a busy machine may need, in milliseconds.
_PATIENCE = 60_000
expect.set_options(timeout=_PATIENCE)

_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for one module: while it is open, its event loop runs in this thread, and none else may."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "these tests need the system's chromium (apt-get install chromium)"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=_FLAGS, timeout=2 * _PATIENCE)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def signed_in(browser: Browser, depot: DepotProcess) -> Any:
    """The cookies of a browser that signed in with the key, as a storage state."""
    context = browser.new_context(base_url=depot.url)
    sign_in(context.new_page(), depot)
    state = context.storage_state()
    context.close()
    return state


@dataclass
class Windows:
    """Opens signed-in browser windows, and gathers what their pages complain of."""

    browser: Browser
    depot: DepotProcess
    state: Any
    complaints: list[str]
    contexts: list[BrowserContext]

    def open(self, width: int = 1280, height: int = 900, scheme: Any = "light") -> Page:
        """A window of that size."""
        context = self.browser.new_context(
            base_url=self.depot.url,
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            storage_state=self.state,
        )
        self.contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(_PATIENCE)
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page


@pytest.fixture
def windows(browser: Browser, depot: DepotProcess, signed_in: Any) -> Iterator[Windows]:
    """Windows of a signed-in browser; the test fails when a page complains in its console or breaks."""
    opened = Windows(browser, depot, signed_in, [], [])
    yield opened
    for context in opened.contexts:
        context.close()
    assert opened.complaints == []


@pytest.fixture
def page(windows: Windows) -> Page:
    """One window."""
    return windows.open()


@pytest.fixture
def project() -> str:
    return f"b-{uuid4().hex[:8]}"


def sign_in(page: Page, depot: DepotProcess) -> None:
    """Types the key."""
    page.goto("/login")
    page.get_by_label("API key").fill(depot.api_key)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{depot.url}/")


def post(depot: DepotProcess, path: str, body: Any) -> Any:
    """Sends JSON as a client does."""
    key = base64.b64encode(f"api:{depot.api_key}".encode()).decode()
    headers = {"Authorization": f"Basic {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(depot.url + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=120) as response:
        assert response.status == 200
        return json.load(response)


def record(
    depot: DepotProcess,
    project: str,
    rows: list[dict[str, Any]],
    name: str = "r1",
    console: tuple[str, ...] = (),
    events: list[dict[str, Any]] | None = None,
    first: int = 0,
    running: bool = False,
    **fields: Any,
) -> str:
    """A run with those rows from line `first` on, written as a client writes; the path of its page."""
    text = "mutation($i: UpsertBucketInput!) { upsertBucket(input: $i) { inserted } }"
    variables = {"i": {"name": name, "modelName": project, "entityName": "tester", **fields}}
    post(depot, "/graphql", {"query": text, "variables": variables})
    content = [json.dumps({"_step": step, **row}) for step, row in enumerate(rows, first)]
    streams: dict[str, Any] = {"wandb-history.jsonl": {"offset": first, "content": content}}
    if rows:
        streams["wandb-summary.json"] = {"offset": 0, "content": [json.dumps({"_step": len(rows) - 1, **rows[-1]})]}
    streams["output.log"] = {"offset": first, "content": list(console)}
    streams["wandb-events.jsonl"] = {"offset": 0, "content": [json.dumps(event) for event in events or []]}
    ending = {} if running else {"complete": True, "exitcode": 0}
    post(depot, f"/files/tester/{project}/{name}/file_stream", {"files": streams, **ending})
    return f"/tester/{project}/runs/{name}"


def put_file(depot: DepotProcess, project: str, name: str, data: bytes, run: str = "r1") -> None:
    """A file of a run, at the address that the depot hands out for it."""
    text = """mutation($i: CreateRunFilesInput!) {
        createRunFiles(input: $i) { files { uploadUrl } } }"""
    variables = {"i": {"entityName": "tester", "projectName": project, "runName": run, "files": [name]}}
    answer = post(depot, "/graphql", {"query": text, "variables": variables})
    address = answer["data"]["createRunFiles"]["files"][0]["uploadUrl"]
    with urllib.request.urlopen(urllib.request.Request(address, data, method="PUT"), timeout=120) as response:
        assert response.status == 200
