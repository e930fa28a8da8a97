"""What a browser shows of a web page, as PNG pictures: headless Chromium, on a system that is light or dark."""

import base64
import shutil
from pathlib import Path
from typing import Any

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
HEIGHT = 900


def start_chromium(profile: Path, **capabilities: Any) -> Any:
    """A driver of Chromium without a window, which asks no server for anything of its own.

    Raises ImportError without selenium, FileNotFoundError without Chromium or its driver.
    """
    from selenium import webdriver

    if CHROMIUM is None or DRIVER is None:
        raise FileNotFoundError("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--window-size=1400,1000", "--force-device-scale-factor=1", f"--user-data-dir={profile}"),
    ):
        options.add_argument(argument)
    for name, value in capabilities.items():
        options.set_capability(name, value)
    return webdriver.Chrome(options, webdriver.ChromeService(DRIVER))


def choose_theme(driver: Any, theme: str) -> None:
    """What the page is told that the system prefers: "light" or "dark"."""
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    )


def picture(driver: Any, page: Path, theme: str, width: int, *, whole: bool = False) -> bytes:
    """The first screen of a page as PNG, or the `whole` page."""
    size = {"width": width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
    choose_theme(driver, theme)
    driver.get(page.as_uri())
    # Two frames: the script of the page has drawn, and what it drew has been laid out.
    driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    if whole:
        size["height"] = driver.execute_script("return document.documentElement.scrollHeight")
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    taken = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    return base64.b64decode(taken["data"])
