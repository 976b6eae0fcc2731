"""Charts in a real browser: what is drawn, zoomed, smoothed, and read with the keyboard."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from playwright.sync_api import Page, Request, expect

from tests.browser.conftest import Windows, record
from tests.waiting import until

if TYPE_CHECKING:
    from tests.conftest import DepotProcess

_INK = """canvas => [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]
    .filter((value, place) => place % 4 === 3 && value > 0).length"""


def _chart(page: Page, key: str) -> Any:
    return page.locator(f'.chart[data-key="{key}"]')


def _asked(page: Page) -> list[dict[str, list[str]]]:
    """The queries for numbers that the page sends from now on."""
    from urllib.parse import parse_qs, urlsplit

    found: list[dict[str, list[str]]] = []

    def note(request: Request) -> None:
        if "/series?" in request.url:
            found.append(parse_qs(urlsplit(request.url).query))

    page.on("request", note)
    return found


def test_each_metric_is_a_chart_with_ink_on_it(page: Page, depot: DepotProcess, project: str) -> None:
    """Charts stand by the part before the slash; the last value is told; NaN alone leaves nothing to draw."""
    rows = [{"b/loss": 1 / (step + 1), "b/acc": step, "lr": 0.5, "a/nan": math.nan} for step in range(300)]
    path = record(depot, project, rows)
    page.goto(path)
    expect(page.locator(".chart[data-drawn=yes]")).to_have_count(4)
    assert page.locator(".group h2").all_text_contents() == ["Charts", "a", "b"]
    assert page.locator(".chart").evaluate_all("all => all.map((one) => one.dataset.key)") == [
        "lr", "a/nan", "b/acc", "b/loss",
    ]  # fmt: skip
    assert all(canvas.evaluate(_INK) > 500 for canvas in page.locator(".chart canvas").all())
    expect(_chart(page, "b/acc").locator(".last")).to_have_text("299")
    expect(_chart(page, "a/nan")).to_contain_text("No finite values.")


def test_zooming_fetches_the_finer_points_of_the_range(page: Page, depot: DepotProcess, project: str) -> None:
    """A drag asks for the range and draws it; a double click and the button lead back to all of it."""
    rows = [{"loss": math.sin(step / 50) + (9 if step == 6001 else 0)} for step in range(20_000)]
    path = record(depot, project, rows)
    page.goto(path)
    chart = _chart(page, "loss")
    expect(chart).to_have_attribute("data-drawn", "yes")
    asked = _asked(page)
    box = chart.locator(".u-over").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.25 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], middle, steps=4)
    page.mouse.up()
    expect(chart).to_have_attribute("data-drawn", "zoomed")
    (query,) = asked
    start, stop = float(query["from"][0]), float(query["to"][0])
    assert abs(start - 5000) < 150
    assert abs(stop - 10_000) < 150
    found = page.request.get(f"{path}/series?key=loss&points=800&from={start}&to={stop}").json()["series"]["loss"]
    assert max(found["y"]) > 8  # the one high point of the range
    assert start - 50 < min(found["x"]) < start + 50
    chart.get_by_role("button", name="Reset zoom").click()
    expect(chart).to_have_attribute("data-drawn", "yes")
    assert "from" not in asked[-1]
    expect(chart.get_by_role("button", name="Reset zoom")).to_be_hidden()


def test_a_chart_can_be_read_and_zoomed_with_the_keyboard(page: Page, depot: DepotProcess, project: str) -> None:
    """Arrows tell point after point, plus and minus zoom, zero shows all again."""
    path = record(depot, project, [{"loss": step * 10} for step in range(21)])
    page.goto(path)
    chart = _chart(page, "loss")
    expect(chart).to_have_attribute("data-drawn", "yes")
    asked = _asked(page)
    chart.get_by_role("group").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(chart.get_by_role("status")).to_contain_text("step 2")
    expect(chart.get_by_role("status")).to_contain_text("20")
    page.keyboard.press("+")
    expect(chart).to_have_attribute("data-drawn", "zoomed")
    assert float(asked[-1]["to"][0]) - float(asked[-1]["from"][0]) == 10
    page.keyboard.press("0")
    expect(chart).to_have_attribute("data-drawn", "yes")


def test_smoothing_log_scale_and_axis_change_the_drawing_and_stay_in_the_address(
    windows: Windows, depot: DepotProcess, project: str
) -> None:
    """Each changes the picture; a second window with the same address begins with them."""
    rows = [
        {"loss": 10.0 ** (step % 5 - 2), "_runtime": step * 60, "_timestamp": 1.7e9 + step * 60} for step in range(200)
    ]
    path = record(depot, project, [*rows, {"loss": -1.0, "_runtime": 12_000, "_timestamp": 1.7e9 + 12_000}])
    page = windows.open()
    asked = _asked(page)
    page.goto(path)
    chart = _chart(page, "loss")
    expect(chart).to_have_attribute("data-drawn", "yes")
    picture = chart.locator("canvas")
    seen = [picture.evaluate("canvas => canvas.toDataURL()")]

    def is_new() -> None:
        seen.append(picture.evaluate("canvas => canvas.toDataURL()"))
        assert seen[-1] not in seen[:-1]

    page.get_by_label("Smoothing").fill("0.9")
    page.wait_for_url("**smooth=0.9*")
    is_new()
    chart.get_by_role("group").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    # (0.1 × 0.9 × 0.01 + 0.1 × 0.1) / (1 − 0.9²)
    expect(chart.get_by_role("status")).to_contain_text("0.1 ≈ 0.057368")
    page.get_by_label("Log scale").check()
    page.wait_for_url("**log=1*")
    expect(chart.locator(".note")).to_have_text("1 values that are not positive are left out.")
    is_new()
    page.get_by_label("X axis").select_option("relative")
    expect(chart).to_have_attribute("data-drawn", "yes")
    page.wait_for_url("**axis=relative*")
    assert [query["axis"] for query in asked] == [["_step"], ["_runtime"]]
    is_new()
    other = windows.open()
    other.goto(page.url)
    expect(other.get_by_label("Log scale")).to_be_checked()
    expect(other.get_by_label("Smoothing")).to_have_value("0.9")
    expect(_chart(other, "loss")).to_have_attribute("data-drawn", "yes")
    assert _chart(other, "loss").locator("canvas").evaluate("canvas => canvas.toDataURL()") == seen[-1]


def test_thousands_of_metrics_are_drawn_only_where_one_looks(page: Page, depot: DepotProcess, project: str) -> None:
    """A page of 1,200 metrics asks for the few in view; a search finds the one that is far down."""
    rows = [{f"layer{n % 30}/w{n}": n + step for n in range(1200)} for step in range(3)]
    path = record(depot, project, rows)
    asked = _asked(page)
    page.goto(path)
    expect(page.locator(".chart[data-drawn=yes]").first).to_be_visible()
    assert page.locator(".chart").count() == 1200
    page.get_by_label("Search charts").fill("LAYER7/w1177")
    expect(page.get_by_role("status").filter(has_text="found")).to_have_text("1 found")
    expect(_chart(page, "layer7/w1177")).to_have_attribute("data-drawn", "yes")
    assert len({key for query in asked for key in query["key"]}) < 60
    assert page.locator("canvas").count() == 1


def test_a_running_run_is_looked_at_again_and_a_hidden_page_is_not(
    page: Page, depot: DepotProcess, project: str
) -> None:
    """New rows, lines and the end of the run show without a reload; nothing is asked while nobody sees the page."""
    path = record(depot, project, [{"loss": 1.0}], console=("2026-11-22T10:03:04 first",), running=True)
    page.clock.install()
    page.goto(f"{path}/logs")
    expect(page.locator(".console .line")).to_have_count(1)
    expect(page.locator(".top .state")).to_have_text("running")
    hide = "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
    page.evaluate(hide + " document.dispatchEvent(new Event('visibilitychange')); }", True)
    states: list[str] = []
    page.on("request", lambda request: states.append(request.url) if request.url.endswith("/state") else None)
    page.clock.run_for(60_000)
    assert states == []
    record(depot, project, [{"loss": 2.0}], console=("2026-11-22T10:03:05 second",), first=1)
    page.evaluate(hide + " document.dispatchEvent(new Event('visibilitychange')); }", False)
    page.clock.run_for(5_000)
    expect(page.locator(".console .line")).to_have_text(["first", "second"])
    expect(page.locator(".top .state")).to_have_text("finished")
    expect(page.locator("[data-fact=rows]")).to_have_text("2")
    page.clock.run_for(60_000)
    assert len(states) == 1


def test_several_runs_are_one_line_each_and_their_differences_a_table(
    page: Page, depot: DepotProcess, project: str
) -> None:
    """Runs with different steps share a chart; a line can be taken out; rows that are equal show when asked for."""
    for name, rate in (("r1", 0.1), ("r2", 0.2)):
        config = json.dumps({"lr": {"value": rate}, "seed": {"value": 7}})
        rows = [{"loss": rate * step} for step in range(40 if name == "r1" else 90)]
        record(depot, project, rows, name=name, displayName=f"run-{name}", config=config)
    page.goto(f"/tester/{project}")
    page.get_by_role("checkbox", name="Compare run-r1").check()
    expect(page.get_by_role("button", name="Compare")).to_be_disabled()
    page.get_by_role("checkbox", name="Compare run-r2").check()
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url(f"**/tester/{project}/compare?run=*&run=*")
    chart = _chart(page, "loss")
    expect(chart).to_have_attribute("data-drawn", "yes")
    chart.get_by_role("group").focus()
    page.keyboard.press("ArrowRight")
    expect(chart.get_by_role("status").locator("p")).to_have_count(3)  # the step and two runs
    both = chart.locator("canvas").evaluate("canvas => canvas.toDataURL()")
    page.get_by_role("checkbox", name="Show run-r1").uncheck()
    until(lambda: chart.locator("canvas").evaluate("canvas => canvas.toDataURL()") != both, "the line goes")
    expect(page.get_by_role("row", name="lr 0.2 0.1")).to_be_visible()
    assert page.get_by_role("row", name="seed").count() == 0
    page.get_by_role("link", name="Show all rows").click()
    expect(page.get_by_role("row", name="seed 7 7")).to_be_visible()
