"""Writes docs/pictures: the report of the sample trail in Chromium, wide and narrow, light and dark.

    python -m examples.make_pictures

Needs Debian's chromium and chromium-driver.
"""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from models.settings import parse_settings
from streams.formats import writer
from streams.replay import events_of, replay
from streams.report import report_of
from streams.terminal import Screen

ROOT: Final = Path(__file__).parents[1]
SAMPLE: Final = ROOT / "examples/sample-trail"
PICTURES: Final = ROOT / "docs/pictures"
STORY: Final = "machine-role-console"  # a finding with a lineage


def main() -> None:
    """Write the pictures."""
    paths = [str(SAMPLE / "AWSLogs")]
    result = replay(paths, parse_settings((SAMPLE / "rolehawk.toml").read_text()), with_history=True)
    report = report_of(result, result.findings, [], result.principals, events_of(paths))
    story = next(each.finding_id for each in result.findings if each.detector == STORY)
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    with (
        TemporaryDirectory() as folder,
        webdriver.Chrome(options, Service("/usr/bin/chromedriver")) as browser,
    ):
        page = Path(folder) / "report.html"
        page.write_text("".join(writer("reports", "html")([report], Screen())))
        for width, height, scheme in (
            (1400, 1250, "light"),
            (1400, 1250, "dark"),
            (400, 1100, "light"),
            (400, 1100, "dark"),
        ):
            take(browser, page.as_uri(), f"report-{width}-{scheme}", width, height, scheme)
        take(browser, f"{page.as_uri()}#finding-{story}", "story-1400-light", 1400, 1150, "light")


def take(browser: webdriver.Chrome, url: str, name: str, width: int, height: int, scheme: str) -> None:
    """Take one picture."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get("about:blank")
    browser.get(url)
    picture = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"]
    PICTURES.mkdir(exist_ok=True)
    path = PICTURES / f"{name}.png"
    path.write_bytes(b64decode(picture))
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
