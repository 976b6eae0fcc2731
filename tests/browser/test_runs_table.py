"""The list of runs in a real browser: finding, sorting, choosing columns, pages; all of it in the address."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Windows, record

if TYPE_CHECKING:
    from tests.conftest import DepotProcess


@pytest.fixture
def five(depot: DepotProcess, project: str) -> str:
    """The page of a project with five runs, a to e."""
    for number, name in enumerate("abcde"):
        config = {"lr": {"value": 10.0**-number}, "net": {"value": {"width": 32}}, "opt": {"value": "sgd"}}
        config |= {name: {"value": True} for name in ("a1", "a2", "a3")}
        tags = ["odd"] if number % 2 else []
        rows = [{"acc": (number * 3) % 5, "val": {"f1": number}}]
        record(depot, project, rows, name=name, displayName=f"run {name}", config=json.dumps(config), tags=tags)
    record(depot, project, [], name="e", running=True)
    return f"/tester/{project}"


def _shows(page: Page, *names: str) -> None:
    """The list has runs of these names in this order, once the page is there."""
    expect(page.locator("table.runs .name")).to_have_text(list(names))


def test_a_text_a_condition_and_a_state_find_runs(page: Page, five: str) -> None:
    """Conditions add up, are taken away one by one, and one that is none is told."""
    page.goto(five)
    _shows(page, "run e", "run d", "run c", "run b", "run a")
    condition = page.get_by_label("Condition:")
    condition.fill("config.lr < 0.05")
    page.get_by_role("button", name="Find").click()
    _shows(page, "run e", "run d", "run c")
    page.get_by_label("Condition:").fill("val.f1 >= 3")
    page.keyboard.press("Enter")
    expect(page.locator(".chips li")).to_have_count(2)
    _shows(page, "run e", "run d")
    page.get_by_text("State", exact=False).first.click()
    page.get_by_role("checkbox", name="running").check()
    page.get_by_role("button", name="Apply").first.click()
    expect(page.locator("table.runs .name")).to_have_count(1)
    _shows(page, "run e")
    page.get_by_role("link", name="Clear").click()
    expect(page.locator("table.runs .name")).to_have_count(5)
    page.get_by_label("Search runs").fill("ODD")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_text("No run passes.")).to_be_visible()
    page.goto(f"{five}?q=odd")
    _shows(page, "run d", "run b")
    page.goto(f"{five}?where=nonsense&where=name+~+A")
    expect(page.get_by_role("alert")).to_contain_text("'nonsense' is no condition")
    _shows(page, "run a")


def test_a_columns_head_sorts_and_the_address_keeps_it(windows: Windows, five: str) -> None:
    """Up with the first click, down with the second; another window with the address shows the same."""
    page = windows.open()
    page.goto(five)
    page.get_by_role("columnheader", name="acc").get_by_role("link").click()
    expect(page.get_by_role("columnheader", name="acc")).to_have_attribute("aria-sort", "ascending")
    _shows(page, "run a", "run c", "run e", "run b", "run d")
    page.get_by_role("columnheader", name="acc").get_by_role("link").click()
    expect(page.get_by_role("columnheader", name="acc")).to_have_attribute("aria-sort", "descending")
    _shows(page, "run d", "run b", "run e", "run c", "run a")
    page.get_by_label("Condition:").fill("lr > 0.005")
    page.get_by_role("button", name="Find").click()
    expect(page.locator("table.runs .name")).to_have_count(3)
    other = windows.open()
    other.goto(page.url)
    _shows(other, "run b", "run c", "run a")


def test_columns_of_config_and_summary_are_chosen(page: Page, five: str) -> None:
    """At first those in which runs differ; then those that are ticked, and no others."""
    page.goto(five)
    heads = page.locator("table.runs thead th a")
    assert heads.all_text_contents()[5:] == ["acc", "val.f1", "a1", "a2", "lr"]
    page.get_by_text("Columns").click()
    for name in ("acc", "val.f1", "a1", "a2", "lr"):
        page.get_by_role("checkbox", name=name, exact=True).uncheck()
    page.get_by_role("checkbox", name="Tags").check()
    page.get_by_role("checkbox", name="net.width").check()
    page.get_by_role("button", name="Apply").last.click()
    page.wait_for_url("**col=*")
    assert heads.all_text_contents()[5:] == ["net.width", "Tags"]
    expect(page.get_by_role("row").nth(2)).to_contain_text("32")


def test_the_keyboard_alone_reaches_a_comparison(page: Page, five: str) -> None:
    """Tab reaches the skip link first, the filter, every tick box and the button; the focus is seen."""
    page.goto(five)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    reached: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.textContent")
        reached.append(name.strip())
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", name
        if name in ("Compare run e", "Compare run d"):
            page.keyboard.press("Space")
        if name == "Compare":
            break
    assert {"Search runs", "State", "Compare run a"} <= {name.partition("\n")[0] for name in reached}
    page.keyboard.press("Enter")
    page.wait_for_url("**/compare?*")
    assert parse_qs(urlsplit(page.url).query)["run"] == ["e", "d"]


def test_long_lists_come_in_pages(page: Page, depot: DepotProcess, project: str) -> None:
    """Fifty runs at a time; the order goes on over the pages."""
    for number in range(53):
        record(depot, project, [], name=f"r{number:02}", displayName=f"r{number:02}")
    page.goto(f"/tester/{project}?sort=%2Bdisplay_name")
    _shows(page, *(f"r{number:02}" for number in range(50)))
    page.get_by_role("link", name="Next").click()
    _shows(page, "r50", "r51", "r52")
    expect(page.get_by_text("Page 2 of 2")).to_be_visible()


def test_a_twin_holds_what_its_page_shows(page: Page, five: str) -> None:
    """The same address with `format=json`: names, states, values and order are those of the table."""
    address = f"{five}?sort=-summary.acc&where=config.lr+%3C+0.5&col=summary.acc&col=config.opt"
    page.goto(address)
    twin: dict[str, Any] = page.request.get(f"{address}&format=json").json()
    shown = [row.locator("td, th").all_text_contents() for row in page.locator("table.runs tbody tr").all()]
    assert [cells[1].split()[1] for cells in shown] == [run["id"] for run in twin["runs"]]
    assert [cells[2] for cells in shown] == [run["state"] for run in twin["runs"]]
    values = [list(run["values"].values()) for run in twin["runs"]]
    assert [[int(cells[6]), cells[7]] for cells in shown] == values
    assert values == [[4, "sgd"], [3, "sgd"], [2, "sgd"], [1, "sgd"]]
    assert (twin["total"], twin["page"], twin["pages"]) == (4, 1, 1)
