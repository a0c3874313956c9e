"""The report in a real browser: no error, no request, every tab and filter works, light, dark, printed, narrow."""

import json
import re
import shutil

import numpy as np
import pytest

from edgefair.files import finite
from edgefair.pipeline.frontier.build import build_frontier
from edgefair.pipeline.summarize import class_bias, compare_runs, summarize_runs
from edgefair.report.frontier.page import render_frontier
from edgefair.report.html import render_html
from edgefair.report.seeds_html import render_seeds
from tests.helpers.report_data import HOSTILE, make_gallery, make_report
from tests.helpers.report_runs import report_run

pytestmark = pytest.mark.slow  # a browser is started

STILL = {"name": "prefers-reduced-motion", "value": "reduce"}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
)
QUIET += ("--disable-background-networking", "--disable-component-update", "--disable-sync")
CONTRAST = """
const channel = value => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const rgba = colour => {
  canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const light = colour => { const [r, g, b] = rgba(colour).map(channel); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const behind = element => {
  for (; element; element = element.parentElement) {
    const colour = getComputedStyle(element).backgroundColor;
    if (rgba(colour)[3] === 255) return colour;
  }
  return "white";
};
const poor = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.textContent.trim() || element.closest("script, option, title")) continue;
  const style = getComputedStyle(element), ink = element instanceof SVGElement ? style.fill : style.color;
  const [a, b] = [ink, behind(element)].map(light);
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) poor.push([walker.currentNode.textContent.trim(), element.outerHTML.slice(0, 80), ratio]);
}
return poor;
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """One headless Chromium for all tests of this file, with its log of errors and requests."""
    program = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed (pip install '.[test]')")
    if not program or not driver:
        pytest.skip("no Chromium and chromedriver here (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in (*QUIET, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    page = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    page.set_script_timeout(3600)  # a busy machine is no error
    page.set_page_load_timeout(3600)
    yield page
    page.quit()


def show(browser, folder, report: dict, gallery: dict, width: int = 1100):
    """Open the report of these values as a file; returns the browser."""
    file = folder / "report.html"
    file.write_text(render_html(report, gallery))
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": [STILL]})
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(file.as_uri())
    return browser


@pytest.fixture
def page(browser, tmp_path):
    """The browser with an ordinary report open."""
    return show(browser, tmp_path, make_report(), make_gallery())


def find(page, selector: str) -> list:
    return page.find_elements("css selector", selector)


def shown(page, selector: str) -> list[str]:
    """Ids (or texts) of the elements that are displayed."""
    script = "return [...document.querySelectorAll(arguments[0])].filter(e => e.checkVisibility())"
    return page.execute_script(script + ".map(e => e.id || e.innerText)", selector)


def requests(page) -> list[str]:
    """What the page asked for, other than itself and what stands in it."""
    messages = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return [url for url in urls if not url.startswith(("data:", "file:", "chrome:"))]


def test_no_console_message_and_no_request(page):
    for button in find(page, "[role=tab]"):
        button.click()
    assert page.get_log("browser") == []
    assert requests(page) == []
    assert page.execute_script("return [...document.images].every(i => i.complete && i.naturalWidth > 0)")


def test_the_policy_stops_what_a_hostile_name_might_start(browser, tmp_path):
    names = {"classes": (HOSTILE, "<img src=x onerror=alert(1)>"), "groups": ("<b>g</b>", '"q" & \u2028\u202e')}
    artefacts = ("teacher", HOSTILE + "s", HOSTILE + "i")
    page = show(browser, tmp_path, make_report(**names, names=artefacts), make_gallery(**names, path=artefacts))
    assert page.get_log("browser") == []
    assert HOSTILE in page.find_element("css selector", ".verdicts").text
    blocked = "const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s);"
    assert page.execute_script(blocked + "return window.ran") is None
    fetched = page.execute_async_script(
        "fetch('http://127.0.0.1:9/').then(() => arguments[0](1), () => arguments[0](0))"
    )
    assert fetched == 0
    violations = " ".join(entry["message"] for entry in page.get_log("browser"))
    assert "Content Security Policy" in violations


@pytest.mark.parametrize("name", ["confusion", "checks", "recall"])
def test_every_tab_shows_its_panel_by_mouse_and_keyboard(page, name):
    keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
    tabs = find(page, f"[role=tab][aria-controls^={name}-]")
    assert len(tabs) >= 2
    for tab in tabs:
        tab.click()
        assert shown(page, f"[role=tabpanel][id^={name}-]") == [tab.get_attribute("aria-controls")]
        assert [t.get_attribute("aria-selected") for t in tabs].count("true") == 1
    order = [
        (keys.ARROW_RIGHT, 0),
        (keys.ARROW_RIGHT, 1),
        (keys.ARROW_LEFT, 0),
        (keys.ARROW_LEFT, -1),
        (keys.HOME, 0),
        (keys.END, -1),
    ]
    for key, expected in order:
        page.switch_to.active_element.send_keys(key)
        assert page.switch_to.active_element == tabs[expected]
        assert shown(page, f"[role=tabpanel][id^={name}-]") == [tabs[expected].get_attribute("aria-controls")]
        assert [t.get_attribute("tabindex") for t in tabs].count("0") == 1


def test_every_filter_of_the_pictures_works(page):
    select = pytest.importorskip("selenium.webdriver.support.ui").Select
    pictures = ".flips > li"
    first, second = shown(page, pictures)
    for name, value, left in [
        ("step", "1", [first]), ("step", "2", [second]), ("became", "lost", [first]), ("became", "won", [second]),
        ("became", "other", []), ("group", "0", [first]), ("group", "1", [second]), ("label", "0", [first, second]),
        ("label", "1", []),
    ]:  # fmt: skip
        control = select(page.find_element("css selector", f"select[name={name}]"))
        control.select_by_value(value)
        assert shown(page, pictures) == left
        assert page.find_element("css selector", "output").text == f"{len(left)} of 2 pictures shown"
        control.select_by_value("")
    select(page.find_element("css selector", "select[name=step]")).select_by_value("1")
    select(page.find_element("css selector", "select[name=became]")).select_by_value("won")
    assert shown(page, pictures) == []


def test_another_lambda_changes_the_objective_and_turns_the_line(page):
    keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
    slider, line = page.find_element("id", "weight"), page.find_element("id", "iso")
    cells = find(page, "[data-accuracy]")
    before = line.get_attribute("x2")
    slider.send_keys(keys.HOME)
    assert [cell.text for cell in cells] == [f"{float(cell.get_attribute('data-accuracy')):.1f}" for cell in cells]
    assert line.get_attribute("x1") == line.get_attribute("x2") != before
    slider.send_keys(keys.END)
    for cell in cells:
        expected = float(cell.get_attribute("data-accuracy")) - 2 * float(cell.get_attribute("data-disparity"))
        assert float(cell.text.replace("−", "-")) == pytest.approx(expected, abs=0.051)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_contrast(page, scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "screen", "features": features})
    page.execute_script("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    background = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background[4:-1].split(","))) < 200) == (scheme == "dark")
    assert page.execute_script(CONTRAST) == []


def test_print_shows_every_panel_on_white(page):
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": features})
    assert len(shown(page, "[role=tabpanel]")) == 8
    assert not shown(page, ".tabs, nav, .controls")
    assert page.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.execute_script(CONTRAST) == []
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert all(part.get_attribute("open") for part in find(page, "details"))


def test_keyboard_reaches_the_skip_link_first_and_everything_else_after(page):
    keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
    page.find_element("css selector", "body").send_keys(keys.TAB)
    assert page.switch_to.active_element.get_attribute("class") == "skip"
    assert page.switch_to.active_element.is_displayed()
    unnamed = page.execute_script(
        "return [...document.querySelectorAll('[role=region], [role=tablist], svg[role=img], select, input')].filter("
        "e => !e.ariaLabel && !(e.labels && e.labels.length)).map(e => e.outerHTML.slice(0, 80))"
    )
    assert unnamed == []
    ids = page.execute_script("return [...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    targets = page.execute_script(
        "return [...document.querySelectorAll('nav a')].map(a => a.getAttribute('href').slice(1))"
    )
    assert set(targets) <= set(ids)


def large(classes: int, groups: int) -> dict:
    """A report of many classes and groups with long, odd names, grown from a small one."""
    labels = [f"<b>{i}</b> Ωμέγα \u202e & a very long name without an end {'x' * 60}" for i in range(classes)]
    report = make_report(groups=tuple(f"group {i} 'of' \"many\" {'y' * 40}" for i in range(groups)))
    report["data"] |= {"class_names": labels}
    for name in report["data"]["cells"]:
        report["data"]["cells"][name] = [[6] * classes for _ in range(groups)]
    for entry in report["artefacts"]:
        rows = entry["metrics"]["classes"]
        entry["metrics"]["classes"] = [rows[i % 2] | {"name": name} for i, name in enumerate(labels)]
        entry["metrics"]["confusion"] = np.eye(classes, dtype=int)[None].repeat(groups, 0) * 5 + 1
    return report


@pytest.mark.parametrize(("classes", "groups"), [(1000, 2), (12, 10)])
def test_many_long_names_break_no_layout_and_can_be_searched(browser, tmp_path, classes, groups):
    page = show(browser, tmp_path, large(classes, groups), {}, width=360)
    assert page.get_log("browser") == []
    assert page.execute_script("return document.documentElement.scrollWidth") <= 360
    if classes > 20:
        page.execute_script("document.querySelector('[aria-controls=recall-1]').click()")
        field = page.find_element("css selector", "[data-find=recall-table-1]")
        field.send_keys("<b>777<")
        count = "return [...document.querySelectorAll('#recall-table-1 tbody tr')].filter(row => !row.hidden).length"
        assert page.execute_script(count) == 1


def test_the_page_of_several_seeds_is_as_sound(browser, tmp_path):
    reports = [make_report() | {"folder": str(seed)} for seed in range(3)]
    for seed, report in enumerate(reports):
        report["recipe"]["seed"] = seed
        report["artefacts"][1]["metrics"]["disparities"]["mean_abs_disparity"]["value"] = 0.1 + seed / 50
    summary = summarize_runs(reports)
    bias = {"teacher against student": class_bias(reports, "teacher", reports, "student")}
    result = {"edgefair": "0", "summary": summary, "against": summary, "class_bias": bias}
    file = tmp_path / "seeds.html"
    file.write_text(render_seeds(finite(result | {"comparison": compare_runs(reports, reports)})))
    page = show(browser, tmp_path, make_report(), {}, width=360)
    page.get(file.as_uri())
    assert page.get_log("browser") == []
    assert requests(page) == []
    assert page.execute_script("return document.documentElement.scrollWidth") <= 360
    assert page.execute_script(CONTRAST) == []
    assert len(find(page, "svg[role=img]")) == 5


@pytest.fixture(scope="module")
def frontier(tmp_path_factory):
    """A frontier of one recipe at two strengths and plain, with hostile names."""
    root = tmp_path_factory.mktemp("frontier")
    about = {"class_names": (HOSTILE, "<img src=x onerror=alert(1)>", "c" * 90), "group_names": ("<b>g</b>", '"q" &')}
    for i, strategy in enumerate([{"name": "plain"}, {"lam": 1.0}, {"lam": 150.0}]):
        for seed in (0, 1):
            wrong = (0.1 + 0.1 * i, 0.4 - 0.03 * i)
            report_run(root / f"{i}-{seed}", seed, wrong, about, ("teacher", "student"), strategy=strategy)
    (root / "begun").mkdir()
    (root / "begun" / "recipe.toml").write_text("")
    file = root / "frontier.html"
    file.write_text(render_frontier(finite(build_frontier([root], "student", [0.5, 2.0]))))
    return file


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1100, 360])
def test_the_page_of_a_frontier_is_as_sound(browser, tmp_path, frontier, width, scheme):
    page = show(browser, tmp_path, make_report(), {}, width)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "screen", "features": features})
    page.get(frontier.as_uri())
    page.execute_script("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    assert page.get_log("browser") == []
    assert requests(page) == []
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    assert page.execute_script(CONTRAST) == []
    unnamed = (
        "return [...document.querySelectorAll('[role=region], [role=group], svg[role=img]')].filter(e => !e.ariaLabel)"
    )
    assert page.execute_script(unnamed) == []
    ids = page.execute_script("return [...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))


def drawn(page) -> list[str]:
    """Where everything in the box of the 3-D view is."""
    names = ("points", "transform", "x", "y")
    script = (
        "return [...document.querySelectorAll('.space [data-at]')].map(e => arguments[0].map(n => e.getAttribute(n)))"
    )
    return [str(places) for places in page.execute_script(script, names)]


def test_the_box_turns_by_mouse_keyboard_and_buttons_and_back(browser, tmp_path, frontier):
    keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
    chains = pytest.importorskip("selenium.webdriver").ActionChains
    page = show(browser, tmp_path, make_report(), {})
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.get(frontier.as_uri())
        still = page.find_element("css selector", ".space").get_attribute("outerHTML")
        assert not page.find_element("css selector", ".turn").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert still.count("data-at") > 30
    page.get(frontier.as_uri())
    stage, begin = page.find_element("css selector", ".stage"), None
    back = page.find_elements("css selector", ".turn button")[-1]
    back.click()
    begin = sorted(drawn(page))
    moves = [
        lambda: chains(page).move_to_element(stage).click_and_hold().move_by_offset(60, 20).release().perform(),
        lambda: stage.send_keys(keys.ARROW_RIGHT),
        lambda: stage.send_keys(keys.ARROW_UP),
        *(button.click for button in page.find_elements("css selector", ".turn button")[:-1]),
    ]
    for move in moves:
        before = sorted(drawn(page))
        move()
        assert sorted(drawn(page)) != before
    stage.send_keys(keys.HOME)
    assert sorted(drawn(page)) == begin


def test_the_script_draws_the_box_as_it_stands_in_the_page(browser, tmp_path, frontier):
    """The same formulas in two languages: what the script draws at the first angle is what was written."""
    page = show(browser, tmp_path, make_report(), {})
    page.get(frontier.as_uri())
    written = sorted(drawn(page))
    page.find_elements("css selector", ".turn button")[-1].click()
    numbers = [
        np.array([float(n) for n in re.findall(r"-?\d+\.?\d*", " ".join(places))])
        for places in (written, sorted(drawn(page)))
    ]
    assert numbers[0] == pytest.approx(numbers[1], abs=0.11)  # a last digit may round the other way


def test_without_a_script_everything_is_there(browser, tmp_path):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page = show(browser, tmp_path, make_report(), make_gallery())
        assert len([panel for panel in find(page, "[role=tabpanel]") if panel.is_displayed()]) == 8
        assert not any(part.is_displayed() for part in find(page, ".tabs, .controls"))
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
