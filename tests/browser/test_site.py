"""The documentation as a site: built without a complaint, and whole without a network."""

from __future__ import annotations

import contextlib
import http.server
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, TimeoutError

_ROOT = Path(__file__).resolve().parents[2]
_STYLE_ADDRESS = re.compile(r"""(?:url\(\s*|@import\s+)["']?((?:https?:)?//[^"')\s]+)""")
# What a page fetches by itself. `a` is not among them: a reader decides to follow it.
_FETCHED = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "object": "data",
}


class _Assets(HTMLParser):
    """Gathers the addresses of what a page fetches by itself."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        name = "href" if tag == "link" and told.get("rel") not in {"prev", "next", "canonical"} else _FETCHED.get(tag)
        if name is not None and told.get(name):
            self.found.append(str(told[name]))


def _build(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder), *options]
    return subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with every warning as an error."""
    folder = tmp_path_factory.mktemp("site") / "build"
    built = _build(folder)
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(params=["opened from a disk", "served"])
def address(request: pytest.FixtureRequest, site: Path) -> Iterator[str]:
    """Where the site is, in both ways of reading it."""
    if request.param == "opened from a disk":
        yield site.as_uri()
        return
    handler = partial(_Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A window in which whatever a page asks of another place ends the test."""
    context = browser.new_context()
    opened, elsewhere, complaints = context.new_page(), [], []

    def watch(request: Request) -> None:
        if not request.url.startswith((address, "data:", "blob:", "about:")):
            elsewhere.append(request.url)

    context.on("request", watch)
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    assert (elsewhere, complaints) == ([], [])


def test_no_page_or_style_of_the_site_names_a_foreign_host_for_what_it_fetches(site: Path) -> None:
    """A site that is carried into a closed network has its scripts, styles, fonts and images with it."""
    pages = list(site.rglob("*.html"))
    assert len(pages) > 100
    foreign = {asset for page in pages for asset in _Assets(page.read_text()).found if "//" in asset}
    foreign |= {found for style in site.rglob("*.css") for found in _STYLE_ADDRESS.findall(style.read_text())}
    assert not foreign


def test_the_search_finds_an_error_by_its_code_and_the_result_leads_there(page: Page, address: str) -> None:
    """The search needs neither a server nor a network."""
    page.goto(f"{address}/index.html")
    result = page.locator(".md-search-result__link", has_text="captive-portal").first
    # What is typed before the index is there is not looked for, and nothing tells when it is.
    for text in ["captive-porta", "captive-portal"] * 40:
        page.fill(".md-search__input", text)
        page.dispatch_event(".md-search__input", "keyup")  # which the search listens to, and filling does not send
        with contextlib.suppress(TimeoutError):
            result.wait_for(timeout=1500)
            break
    result.click()
    page.wait_for_url(re.compile(r"/errors/captive-portal\.html"))
    assert page.locator("h1").inner_text().startswith("captive-portal")


_LEDGER = "/data/wandb/offline-run-1/run-abc.wandb.backhaul"
_PASTED = {
    "errors/empty-log": "error empty-log  /run-af.wandb is\nempty (0 bytes): no record of this run reached the disk.",
    "errors/disk-full": f"The ledger {_LEDGER} cannot be written: No space left on device.",
    "errors/tls-failure": "The certificate of wandb.example.org is not trusted: self-signed certificate",
    "errors/log-torn": "The job was killed while it wrote: the last record is to",
    "errors/index": "Sending lines of ada/cifar/mgrkoq0v failed: 503 Service Unavailable",
    "troubleshooting": "wandb: Network error (ReadTimeout), entering retry loop.",
}


def test_a_message_that_is_pasted_into_the_search_leads_to_its_page(page: Page, address: str) -> None:
    """With the names, paths and numbers that it has; also when it was cut, or comes from the official client."""
    page.goto(f"{address}/reference/commands.html")
    for name, text in _PASTED.items():
        page.fill(".md-search__input", text)
        link = str(page.locator(".pasted-message a").first.get_attribute("href"))
        assert link.partition("#")[0] == f"../{name}.html", text
    page.fill(".md-search__input", "backhaul sync of all the runs that cannot be found")
    assert page.locator(".pasted-message a").count() == 0
    page.fill(".md-search__input", _PASTED["errors/disk-full"])
    page.click(".pasted-message a")
    page.wait_for_url(re.compile(r"/errors/"))


@pytest.mark.parametrize("name", ["index", "reference/commands", "troubleshooting", "errors/captive-portal"])
def test_no_page_is_wider_than_a_phone(browser: Browser, site: Path, name: str) -> None:
    """Tables and long lines scroll by themselves; the page does not."""
    context = browser.new_context(viewport={"width": 360, "height": 740})
    opened = context.new_page()
    opened.goto(f"{site.as_uri()}/{name}.html")
    assert opened.evaluate("document.documentElement.scrollWidth") == 360
    context.close()


def test_a_link_without_an_end_and_a_page_that_is_nowhere_in_the_navigation_break_the_build(tmp_path: Path) -> None:
    """What is wrong with the site is told before it is there."""
    docs = Path(shutil.copytree(_ROOT / "docs", tmp_path / "docs"))
    (docs / "orphan.md").write_text("[somewhere](nowhere.md)\n")
    configuration = (_ROOT / "mkdocs.yml").read_text().replace("docs_dir: docs", f"docs_dir: {docs}")
    (tmp_path / "mkdocs.yml").write_text(
        configuration.replace("scripts/site_pages.py", f"{_ROOT}/scripts/site_pages.py")
    )
    built = _build(tmp_path / "build", "--config-file", str(tmp_path / "mkdocs.yml"))
    assert built.returncode == 1
    assert "nowhere.md" in built.stderr
    assert "orphan.md" in built.stderr
