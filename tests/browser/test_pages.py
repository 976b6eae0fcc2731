"""The depot's pages in a real browser: who may see them, and what stored content may do there."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Windows, put_file, record, sign_in

if TYPE_CHECKING:
    from tests.conftest import DepotProcess

_EVIL = "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>"
_TABS = ("", "/overview", "/media", "/logs", "/files", "/artifacts", "/system")


def test_a_run_is_found_from_the_front_page(page: Page, depot: DepotProcess, project: str) -> None:
    """Front page, project, run: one click each, and the way back."""
    record(depot, project, [{"loss": 1.0}], displayName=f"shown-{project}")
    page.goto("/")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=project, exact=True)).first
    expect(row).to_contain_text("tester")
    expect(row.get_by_role("cell").nth(1)).to_have_text("1")
    row.get_by_role("link", name=project, exact=True).click()
    page.get_by_role("link", name=f"shown-{project}").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"shown-{project}")
    page.get_by_role("navigation", name="Place").get_by_role("link", name=f"tester/{project}").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(project)


def test_what_users_typed_is_text_and_never_a_program(page: Page, depot: DepotProcess, project: str) -> None:
    """Markup in names, tags, keys, values, notes, captions and console lines shows as it was typed."""
    config = json.dumps({_EVIL: {"value": _EVIL}})
    picture = {"_type": "image-file", "path": "media/x.png", "caption": _EVIL}
    path = record(
        depot, project, [{_EVIL: 1.0, "pic": picture}], console=(f"ERROR {_EVIL}",), events=[{_EVIL: 1.0}],
        displayName=_EVIL, config=config, notes=_EVIL, tags=["<b>t</b>"],
    )  # fmt: skip
    put_file(depot, project, "media/x.png", b"no image")
    addresses = ["/", f"/tester/{project}", f"/tester/{project}/compare?run=r1", *(path + tab for tab in _TABS)]
    for address in addresses:
        page.goto(address)
        expect(page.get_by_text(_EVIL).locator("visible=true").first).to_be_visible()
        if page.locator(".chart").count():
            expect(page.locator(".chart[data-drawn=yes]").first).to_be_visible()
        assert page.evaluate("window.pwned") is None, address
        assert page.locator("main script, main img[src=x]").count() == 0, address


def test_stored_html_and_svg_do_not_run_in_the_pages_origin(
    windows: Windows, depot: DepotProcess, project: str
) -> None:
    """Opened directly they are downloads; an SVG shown as an image runs nothing."""
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>parent.pwned = 1</script></svg>'
    value = {"_type": "image-file", "path": "media/evil.svg"}
    path = record(depot, project, [{"pic": value}])
    put_file(depot, project, "media/evil.svg", svg)
    put_file(depot, project, "page.html", b"<script>document.title = 'pwned'</script>")
    page = windows.open()
    page.goto(f"{path}/media")
    expect(page.get_by_role("img", name="media/evil.svg")).to_be_visible()
    assert page.evaluate("window.pwned") is None
    page.goto(f"{path}/files")
    with page.expect_download() as download:
        page.get_by_role("link", name="page.html").click()
    assert download.value.suggested_filename == "page.html"
    assert page.title() != "pwned"


def test_every_page_forbids_what_did_not_come_as_a_file_of_ours(page: Page, depot: DepotProcess, project: str) -> None:
    """No inline script and no inline style would run, and nothing is fetched from elsewhere."""
    path = record(depot, project, [{"x": 1}])
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for address in ("/", f"/tester/{project}", f"/tester/{project}/artifacts", *(path + tab for tab in _TABS)):
        response = page.goto(address)
        assert response is not None
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert re.findall(r"<(?:script>|style|[a-z][^<>]*\s(?:style|on\w+)=)", response.text()) == []
    assert all(url.startswith(depot.url) for url in asked)
    assets = {url for url in asked if "/:static/" in url}
    assert f"{depot.url}/:static/chart.js" in assets
    for url in assets:  # none may outlive an upgrade in the browser's cache
        assert page.request.get(url).headers["cache-control"] == "no-cache", url


def test_without_signing_in_no_page_opens(browser: Browser, depot: DepotProcess, project: str) -> None:
    """Every page leads to the sign-in, which tells a wrong key from a right one."""
    path = record(depot, project, [{"x": 1}])
    context = browser.new_context(base_url=depot.url)
    page = context.new_page()
    for address in ("/", f"/tester/{project}", f"/tester/{project}/compare", *(path + tab for tab in _TABS)):
        page.goto(address)
        assert page.url == f"{depot.url}/login"
        twin = context.request.get(f"{address}?format=json")
        assert twin.status == 401
    assert context.request.get(f"{path}/series?key=x").status == 401
    page.get_by_label("API key").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("This is not a key of this depot.")
    sign_in(page, depot)
    (cookie,) = context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], depot.api_key in cookie["value"]) == (True, "Strict", False)
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{depot.url}/login")
    page.goto(path)
    assert page.url == f"{depot.url}/login"
    context.close()


def test_the_sign_in_address_works_once(browser: Browser, depot: DepotProcess) -> None:
    """It leads to the projects and leaves no secret in the address; a second browser is turned away."""
    first, second = browser.new_context(), browser.new_context()
    page = first.new_page()
    page.goto(depot.sign_in)
    assert page.url == f"{depot.url}/"
    expect(page.get_by_role("heading", level=1)).to_have_text("Projects")
    page = second.new_page()
    page.goto(depot.sign_in)
    expect(page.get_by_role("alert")).to_contain_text("used already")
    first.close()
    second.close()


def test_a_page_that_there_is_not_says_so(browser: Browser, depot: DepotProcess, signed_in: Any) -> None:
    """A missing project, run, artifact or run to compare is a 404 with a way back."""
    context = browser.new_context(base_url=depot.url, storage_state=signed_in)
    page = context.new_page()
    for address in ("/tester/nothing", "/tester/nothing/runs/here", "/tester/nothing/artifacts/model/none/v0"):
        response = page.goto(address)
        assert response is not None
        assert response.status == 404
        expect(page.get_by_role("link", name="All projects")).to_be_visible()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(windows: Windows, depot: DepotProcess, project: str, scheme: Any) -> None:
    """Every visible text reaches a contrast of 4.5 to 1, in light and in dark."""
    path = record(depot, project, [{"x": 1}], console=("ERROR \x1b[33mwarm\x1b[0m",), tags=["quick"], notes="a note")
    page = windows.open(scheme=scheme)
    for address in ("/", f"/tester/{project}", f"/tester/{project}/compare?run=r1", path, f"{path}/logs"):
        page.goto(address)
        assert page.evaluate(_WEAK_TEXTS) == [], address


_WEAK_TEXTS = """() => {
  const parts = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => { const f = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const ground = (node) => { for (; node; node = node.parentElement) {
    const found = parts(getComputedStyle(node).backgroundColor); if (found.length < 4 || found[3] > 0) return found; }
    return [255, 255, 255]; };
  const weak = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    if (!own || !node.checkVisibility() || node.closest(":disabled, .sr, .skip")) continue;
    const [a, b] = [light(parts(getComputedStyle(node).color)), light(ground(node))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) weak.push(`${node.className} ${node.textContent.slice(0, 30)} ${contrast.toFixed(2)}`);
  }
  return weak;
}"""


def test_pages_fit_a_narrow_window(windows: Windows, depot: DepotProcess, project: str) -> None:
    """At a width of 360 pixels nothing makes the page itself scroll sideways, whatever the names are."""
    long = "n" * 120
    path = record(
        depot, project,
        [{f"group/{long}": 1.0, "日本語": 2.0, "page": {"_type": "html-file", "path": f"deep/{long}.txt"}}],
        console=("x" * 500,), events=[{"system.cpu": 1.0}],
        displayName=long, notes=long, tags=[long[:60], "ü"], config=json.dumps({long: {"value": long}}),
    )  # fmt: skip
    put_file(depot, project, f"deep/{long}.txt", b"text")
    page = windows.open(width=360, height=740)
    for address in ("/", f"/tester/{project}", f"/tester/{project}/compare?run=r1", *(path + tab for tab in _TABS)):
        page.goto(address)
        for menu in page.locator(".menu > summary").all()[::-1]:
            menu.click()
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 360, address
