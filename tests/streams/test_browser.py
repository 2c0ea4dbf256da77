"""The report in Chromium: nothing is asked of any server, nothing runs but its script, and everybody can read it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from streams.options import SEVERITIES
from tests.streams.pages import HOSTILE, hostile_report, sample_report, written

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
SMALL_TEXT, LARGE_TEXT = 4.5, 3.0  # contrast that WCAG 2.2 AA asks for

# For every piece of text in sight: its contrast with the nearest ground that is drawn, and what it needs.
CONTRASTS: Final = """
const numbers = (colour) => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const known = new Map();
const of = (colour) => known.get(colour) ?? known.set(colour, numbers(colour)).get(colour);
const luminance = ([r, g, b]) => {
  const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
};
const ground = (element) => {
  for (let each = element; each; each = each.parentElement) {
    const colour = of(getComputedStyle(each).backgroundColor);
    if (colour[3] === 255) return colour;
    if (colour[3] !== 0) throw new Error("a ground that shines through");
  }
  return [255, 255, 255, 255];
};
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const text = walker.currentNode, element = text.parentElement;
  if (!text.data.trim() || ["SCRIPT", "STYLE"].includes(element.tagName)) continue;
  if (!element.checkVisibility({ checkVisibilityCSS: true })) continue;
  const style = getComputedStyle(element);
  const ink = element instanceof SVGElement ? style.fill : style.color;
  const [a, b] = [luminance(of(ink)), luminance(ground(element))];
  const size = parseFloat(style.fontSize);
  const isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
  found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), isLarge, text.data.trim().slice(0, 40)]);
}
return found;
"""


# The words of all statuses, those that stand on two lines, and whether the table of findings is wider than its place.
STATUSES = """
const words = [], broken = [];
for (const cell of document.querySelectorAll("table[data-filter=severity] > tbody td:nth-child(7)")) {
  const text = cell.firstChild;
  for (const match of text.data.matchAll(/\\S+/g)) {
    const range = document.createRange();
    range.setStart(text, match.index);
    range.setEnd(text, match.index + match[0].length);
    words.push(match[0]);
    if (range.getClientRects().length > 1) broken.push(match[0]);
  }
}
const place = document.querySelector("#findings .scroll");
return [words, broken, place.scrollWidth > place.clientWidth];
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    """Start a browser without a window."""
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("needs chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options, Service(DRIVER)) as started:
        yield started


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the report of the sample trail."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(written(sample_report()))
    return path


def look(browser: webdriver.Chrome, path: Path, *, width: int = 1400, scheme: str = "light", place: str = "") -> None:
    """Open a page in a window of that width, in a light or a dark scheme."""
    for log in ("browser", "performance"):
        browser.get_log(log)  # type: ignore[no-untyped-call]
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    metrics = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get("about:blank")
    browser.get(f"{path.as_uri()}{place}")


def heard(browser: webdriver.Chrome, method: str) -> list[Any]:
    """List what the browser has told of its network since it was last asked."""
    messages = (json.loads(each["message"])["message"] for each in browser.get_log("performance"))  # type: ignore[no-untyped-call]
    return [each["params"] for each in messages if each["method"] == method]


def requested(browser: webdriver.Chrome) -> set[str]:
    """List what the browser wanted to load, whether the policy let it or not."""
    urls = (each["request"]["url"].partition("#")[0] for each in heard(browser, "Network.requestWillBeSent"))
    return set(urls) - {"about:blank"}


def complaints(browser: webdriver.Chrome) -> list[Any]:
    """List what the console got: errors of the script, and whatever the policy refused."""
    return list(browser.get_log("browser"))  # type: ignore[no-untyped-call]


def is_wider(browser: webdriver.Chrome) -> bool:
    """Decide whether the page has to be moved sideways to be read."""
    return bool(
        browser.execute_script(
            "const { scrollWidth, clientWidth } = document.documentElement; return scrollWidth > clientWidth"
        )
    )


def rows(browser: webdriver.Chrome, table: str) -> list[WebElement]:
    """List the rows of a table that are in sight."""
    body = browser.find_element(By.CSS_SELECTOR, f"table[data-filter={table}] > tbody")
    return [each for each in body.find_elements(By.XPATH, "./tr") if each.is_displayed()]


def column(browser: webdriver.Chrome, table: str, number: int) -> list[str]:
    """Read a column of a table as it stands."""
    return [each.find_elements(By.XPATH, "./td")[number].text for each in rows(browser, table)]


def weights(browser: webdriver.Chrome) -> list[int]:
    """Read the severities of the findings as they stand, 0 the most severe."""
    return [SEVERITIES.index(each.lower()) for each in column(browser, "severity", 0)]


def head(browser: webdriver.Chrome, table: str, number: int) -> WebElement:
    """Find the heading of a column."""
    return browser.find_elements(By.CSS_SELECTOR, f"table[data-filter={table}] > thead th")[number]


def test_opening_it_asks_nobody(browser: webdriver.Chrome, sample: Path) -> None:
    """The one request is for the file itself, and the console stays empty."""
    look(browser, sample)
    assert requested(browser) == {sample.as_uri()}
    assert complaints(browser) == []


def test_the_policy_is_in_force(browser: webdriver.Chrome, sample: Path) -> None:
    """A script, a style and an image put into the page later are refused: the check above would have seen them."""
    look(browser, sample)
    browser.execute_script(
        "const image = new Image(); image.src = 'http://127.0.0.1:9/x'; document.body.append(image);"
        "const script = document.createElement('script'); script.textContent = 'document.title = 1';"
        "document.body.append(script); document.body.setAttribute('style', 'color: red');"
    )
    assert browser.title.startswith("rolehawk report")
    assert len(complaints(browser)) >= 3
    assert [each["blockedReason"] for each in heard(browser, "Network.loadingFailed")] == ["csp"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_text_can_be_read(browser: webdriver.Chrome, sample: Path, width: int, scheme: str) -> None:
    """All text in sight has the contrast that WCAG AA asks for, and the page is no wider than its window."""
    look(browser, sample, width=width, scheme=scheme)
    found = browser.execute_script(CONTRASTS)
    assert len(found) > 1_000
    assert [each for each in found if each[0] < (LARGE_TEXT if each[1] else SMALL_TEXT)] == []
    assert not is_wider(browser)


@pytest.mark.parametrize("width", [400, 1400])
def test_the_findings_fit(browser: webdriver.Chrome, sample: Path, width: int) -> None:
    """The table of findings is no wider than its place, and no word of a status is broken."""
    look(browser, sample, width=width)
    words, broken, is_wide = browser.execute_script(STATUSES)
    assert "(resolved)" in words
    assert broken == []
    assert not is_wide


def test_schemes_differ(browser: webdriver.Chrome, sample: Path) -> None:
    """The page follows the reader's scheme, and on paper it is always light."""
    grounds = []
    for scheme in ("light", "dark"):
        look(browser, sample, scheme=scheme)
        grounds.append(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    grounds.append(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
    hidden = browser.execute_script("return getComputedStyle(document.querySelector('nav')).display")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert grounds == ["rgb(246, 247, 249)", "rgb(14, 17, 22)", "rgb(255, 255, 255)"]
    assert hidden == "none"


def test_findings_are_filtered(browser: webdriver.Chrome, sample: Path) -> None:
    """Words and severities choose rows, and the stories with them; it says how many."""
    look(browser, sample)
    tools = browser.find_element(By.CSS_SELECTOR, "#findings form")
    search = tools.find_element(By.CSS_SELECTOR, "input[type=search]")
    total = len(rows(browser, "severity"))
    assert f"{total} of {total} shown" in tools.text
    search.send_keys("MFA console")
    shown = rows(browser, "severity")
    assert 0 < len(shown) < total
    assert all("console" in each.text.lower() for each in shown)
    stories = browser.find_elements(By.CSS_SELECTOR, "article")
    assert sum(each.is_displayed() for each in stories) == len(shown)
    search.send_keys(Keys.CONTROL, "a")
    search.send_keys(Keys.BACKSPACE)
    critical = column(browser, "severity", 0).count("CRITICAL")
    tools.find_elements(By.CSS_SELECTOR, "input[type=checkbox]")[0].click()
    assert len(rows(browser, "severity")) == total - critical < total
    assert f"{total - critical} of {total} shown" in tools.text
    assert complaints(browser) == []


def test_a_link_to_what_is_hidden_shows_it(browser: webdriver.Chrome, sample: Path) -> None:
    """A chain's link leads to its part though a filter hides that."""
    look(browser, sample)
    browser.find_elements(By.CSS_SELECTOR, "#findings form input[type=checkbox]")[1].click()
    part = browser.find_elements(By.CSS_SELECTOR, "article.edge-high")[-1]
    assert not part.is_displayed()
    browser.find_element(By.CSS_SELECTOR, f"article a[href='#{part.get_attribute('id')}']").click()
    assert part.is_displayed()


def test_tables_are_sorted(browser: webdriver.Chrome, sample: Path) -> None:
    """A heading sorts by its column, once more the other way, and says so; numbers go by value, severities by weight."""
    look(browser, sample)
    head(browser, "severity", 1).find_element(By.TAG_NAME, "button").click()
    assert column(browser, "severity", 1) == sorted(column(browser, "severity", 1))
    assert head(browser, "severity", 1).get_attribute("aria-sort") == "ascending"
    head(browser, "severity", 0).find_element(By.TAG_NAME, "button").click()
    assert weights(browser) == sorted(weights(browser))
    head(browser, "severity", 0).find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
    assert weights(browser) == sorted(weights(browser), reverse=True)
    assert head(browser, "severity", 1).get_attribute("aria-sort") is None
    head(browser, "kind", 5).find_element(By.TAG_NAME, "button").click()
    numbers = [int(each.replace(",", "")) for each in column(browser, "kind", 5)]
    assert numbers == sorted(numbers, reverse=True)


def test_it_works_by_keyboard(browser: webdriver.Chrome, sample: Path) -> None:
    """The first stop leads past the navigation; every control is reached and shows that it is."""
    look(browser, sample)
    first = browser.switch_to.active_element
    first.send_keys(Keys.TAB)
    skip = browser.switch_to.active_element
    assert skip.text == "Skip to the findings"
    assert skip.value_of_css_property("outline-style") == "solid"
    skip.send_keys(Keys.ENTER)
    assert browser.current_url.endswith("#findings")
    browser.switch_to.active_element.send_keys(Keys.TAB)
    assert browser.switch_to.active_element.get_attribute("type") == "search"


@pytest.mark.parametrize("attack", HOSTILE, ids=ascii)
def test_no_string_does_anything(browser: webdriver.Chrome, tmp_path: Path, attack: str) -> None:
    """With an attack in every field nothing runs, nothing is asked for and nothing is refused."""
    path = tmp_path / "hostile.html"
    path.write_text(written(hostile_report(attack)))
    look(browser, path, width=400)
    assert browser.title.startswith("rolehawk report")
    assert complaints(browser) == []
    assert requested(browser) == {path.as_uri()}
    assert not is_wider(browser)
