"""A real browser for tests of web pages: one for all of them, started when the first needs it."""

import json
from pathlib import Path
from typing import Any

import pytest
from page_picture import CHROMIUM, DRIVER, choose_theme, start_chromium


def needs_browser(test: Any) -> Any:
    """Marks a test or a class: skipped without chromium, and slow."""
    skipped = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver")
    return pytest.mark.slow(skipped(test))


LETTERS = "#text .block span"


class Browser:
    """What the tests do with a page."""

    def __init__(self, profile: Path) -> None:
        self.driver = start_chromium(
            profile, **{"goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        )

    def open(self, page: Path, theme: str = "light") -> None:
        """Load a page afresh, as someone sees it whose system is light or dark."""
        self.logs("browser"), self.logs("performance")
        choose_theme(self.driver, theme)
        self.driver.get(page.as_uri())

    def logs(self, kind: str) -> list[dict[str, Any]]:
        return self.driver.get_log(kind)

    def requests(self) -> list[str]:
        """Every address that was sent for since the page was opened, its own first.

        Not the browser's own pages, and not what the page's policy refused.
        """
        events = [json.loads(entry["message"])["message"] for entry in self.logs("performance")]
        sent = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
        failed = [e["params"] for e in events if e["method"] == "Network.loadingFailed"]
        refused = {one["requestId"] for one in failed if one.get("blockedReason") == "csp"}
        return [
            one["request"]["url"]
            for one in sent
            if not one["documentURL"].startswith("chrome") and one["requestId"] not in refused
        ]

    def script(self, source: str, *arguments: Any) -> Any:
        return self.driver.execute_script(source, *arguments)

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def text(self, selector: str) -> str:
        return self.script("return document.querySelector(arguments[0]).textContent", selector)

    def attributes(self, selector: str, name: str) -> list[str | None]:
        return self.script(
            "return [...document.querySelectorAll(arguments[0])].map((e) => e.getAttribute(arguments[1]))",
            selector,
            name,
        )

    def classes(self) -> list[set[str]]:
        """The look of each character of the text."""
        return [set((one or "").split()) for one in self.attributes(LETTERS, "class")]

    def letter(self, k: int) -> Any:
        """The element of a character, brought into sight; the page has seen that it scrolled."""
        return self.driver.execute_async_script(
            "const e = document.querySelectorAll(arguments[0])[arguments[1]];"
            "e.scrollIntoView({block: 'center'});"
            "requestAnimationFrame(() => requestAnimationFrame(() => arguments[2](e)))",
            LETTERS,
            k,
        )

    def actions(self) -> Any:
        from selenium.webdriver import ActionChains

        return ActionChains(self.driver, duration=0)

    def drag(self, first: int, last: int) -> None:
        """Press on one character of the text and let go on another one that is in sight with it."""
        end = self.script(f"return document.querySelectorAll('{LETTERS}')[{last}]")
        self.actions().move_to_element(self.letter(first)).click_and_hold().move_to_element(
            end
        ).release().perform()

    def press(self, *keys: str) -> None:
        self.actions().send_keys(*keys).perform()

    def choose(self, selector: str, option: str) -> None:
        from selenium.webdriver.support.select import Select

        Select(self.find(selector)).select_by_visible_text(option)

    def enter(self, selector: str, value: str) -> None:
        """Type into a box, or set a slider as a hand would."""
        self.script(
            "const e = document.querySelector(arguments[0]); e.value = arguments[1];"
            "for (const name of ['input', 'change']) e.dispatchEvent(new Event(name, {bubbles: true}))",
            selector,
            value,
        )
