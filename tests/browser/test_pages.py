"""The depot's pages in a real browser."""

from __future__ import annotations

import base64
import json
import shutil
import urllib.request
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

if TYPE_CHECKING:
    from tests.conftest import DepotProcess

_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
_EVIL = "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for this module alone: while it is open, its event loop runs in this thread, and none else may."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "these tests need the system's chromium (apt-get install chromium)"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser, depot: DepotProcess) -> Iterator[Page]:
    """A signed-in browser; the test fails when a page complains in its console or breaks."""
    context = browser.new_context(base_url=depot.url, viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    _sign_in(opened, depot)
    yield opened
    context.close()
    assert complaints == []


def _sign_in(page: Page, depot: DepotProcess) -> None:
    page.goto("/login")
    page.get_by_label("API key").fill(depot.api_key)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{depot.url}/")


def _post(depot: DepotProcess, path: str, body: Any) -> None:
    key = base64.b64encode(f"api:{depot.api_key}".encode()).decode()
    headers = {"Authorization": f"Basic {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(depot.url + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        assert response.status == 200


def _record(depot: DepotProcess, project: str, rows: list[dict[str, Any]], **fields: Any) -> str:
    """A run with those rows, written as a client writes; the path of its page."""
    text = "mutation($i: UpsertBucketInput!) { upsertBucket(input: $i) { inserted } }"
    variables = {"i": {"name": "r1", "modelName": project, "entityName": "tester", **fields}}
    _post(depot, "/graphql", {"query": text, "variables": variables})
    content = [json.dumps({"_step": step, **row}) for step, row in enumerate(rows)]
    body = {
        "files": {
            "wandb-history.jsonl": {"offset": 0, "content": content},
            "wandb-summary.json": {"offset": 0, "content": [json.dumps(rows[-1])]},
            "output.log": {"offset": 0, "content": ["2026-11-22T10:03:04.347799 hello", f"ERROR {_EVIL}"]},
        },
        "complete": True,
        "exitcode": 0,
    }
    _post(depot, f"/files/tester/{project}/r1/file_stream", body)
    return f"/tester/{project}/runs/r1"


@pytest.fixture
def project() -> str:
    return f"b-{uuid4().hex[:8]}"


def test_a_run_is_found_from_the_list_and_draws_its_metrics(page: Page, depot: DepotProcess, project: str) -> None:
    """Each metric is a chart that has ink on it; config, summary and console are there to read."""
    rows = [{"loss": 1 / (step + 1), "deep": {"acc": step}} for step in range(3000)]
    config = json.dumps({"lr": {"value": 0.125}})
    path = _record(depot, project, rows, displayName=f"shown-{project}", config=config, tags=["quick"])
    page.goto("/")
    page.get_by_role("link", name=f"shown-{project}").click()
    page.wait_for_url(f"**{path}")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"shown-{project}")
    expect(page.locator(".charts[data-drawn=yes]")).to_have_count(1)
    assert page.locator(".chart figcaption").all_text_contents() == ["deep.acc", "loss"]
    ink = """canvas => [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]
        .filter((value, place) => place % 4 === 3 && value > 0).length"""
    assert all(canvas.evaluate(ink) > 500 for canvas in page.locator(".chart canvas").all())
    expect(page.get_by_role("row", name="lr 0.125")).to_be_visible()
    expect(page.get_by_role("row", name="deep.acc 2999")).to_be_visible()
    expect(page.locator(".console")).to_contain_text("hello")


def test_what_users_typed_is_text_and_never_a_program(page: Page, depot: DepotProcess, project: str) -> None:
    """Markup in names, tags, keys, values, notes and console lines shows as it was typed."""
    config = json.dumps({_EVIL: {"value": _EVIL}})
    path = _record(depot, project, [{_EVIL: 1.0}], displayName=_EVIL, config=config, notes=_EVIL, tags=["<b>t</b>"])
    for address in ("/", f"/tester/{project}", path):
        page.goto(address)
        expect(page.get_by_text(_EVIL).first).to_be_visible()
        if address == path:
            expect(page.locator(".charts[data-drawn=yes]")).to_have_count(1)
        assert page.evaluate("window.pwned") is None
        assert page.locator("main script, main img").count() == (2 if address == path else 0)  # our own two scripts


def test_without_signing_in_no_page_opens(browser: Browser, depot: DepotProcess, project: str) -> None:
    """Every page leads to the sign-in, which tells a wrong key from a right one."""
    path = _record(depot, project, [{"x": 1}])
    context = browser.new_context(base_url=depot.url)
    page = context.new_page()
    for address in ("/", f"/tester/{project}", path):
        page.goto(address)
        assert page.url == f"{depot.url}/login"
    page.get_by_label("API key").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("This is not a key of this depot.")
    _sign_in(page, depot)
    (cookie,) = context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], depot.api_key in cookie["value"]) == (True, "Strict", False)
    page.get_by_role("button", name="Sign out").click()
    page.goto(path)
    assert page.url == f"{depot.url}/login"
    context.close()


def test_the_sign_in_address_works_once(browser: Browser, depot: DepotProcess) -> None:
    """It leads to the runs and leaves no secret in the address; a second browser is turned away."""
    first, second = browser.new_context(), browser.new_context()
    page = first.new_page()
    page.goto(depot.sign_in)
    assert page.url == f"{depot.url}/"
    expect(page.get_by_role("heading", level=1)).to_have_text("Runs")
    page = second.new_page()
    page.goto(depot.sign_in)
    expect(page.get_by_role("alert")).to_contain_text("used already")
    first.close()
    second.close()


def test_a_page_that_there_is_not_says_so(browser: Browser, depot: DepotProcess) -> None:
    """A missing run or project is a 404 with a way back."""
    context = browser.new_context(base_url=depot.url)
    page = context.new_page()
    _sign_in(page, depot)
    for address in ("/tester/nothing", "/tester/nothing/runs/here"):
        response = page.goto(address)
        assert response is not None
        assert response.status == 404
        expect(page.get_by_role("link", name="All runs")).to_be_visible()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_light_or_dark_as_the_system_is(
    browser: Browser, depot: DepotProcess, project: str, scheme: Any
) -> None:
    """Text stands out from its ground in both."""
    path = _record(depot, project, [{"x": 1}])
    context = browser.new_context(base_url=depot.url, color_scheme=scheme)
    page = context.new_page()
    _sign_in(page, depot)
    page.goto(path)
    colours = page.evaluate("[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]")
    ink, ground = (sum(int(part) for part in colour[4:-1].split(",")) for colour in colours)
    assert (ground > ink) == (scheme == "light")
    assert abs(ground - ink) > 400
    context.close()
