"""A real browser, driven by its keyboard: chromium without a window. Looks at what it complains about, too."""

from __future__ import annotations

import base64
import io
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from PIL import Image
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException, TimeoutException
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

WIDTH, HEIGHT = 1000, 760
PATIENCE = 60
MOST_TABS = 60
_REFUSED = re.compile(r"responded with a status of (403|409|410|422|429|503) ")
_FOCUSED = """
if (document.activeElement !== document.body || !document.querySelector("[autofocus]")) document.wasFocused = true;
return document.wasFocused === true;
"""


class Browser:
    """One window. `shots` is where pictures go, or None."""

    def __init__(self, driver: webdriver.Chrome, shots: Path | None) -> None:
        self.driver, self.shots = driver, shots

    # ------------------------------------------------------------------ looking

    @property
    def text(self) -> str:
        return self.driver.find_element(By.TAG_NAME, "body").text

    @property
    def focused(self) -> WebElement:
        return self.driver.switch_to.active_element

    def wait_for(self, text: str) -> None:
        swapped = (StaleElementReferenceException, NoSuchElementException)
        waiting = WebDriverWait(self.driver, PATIENCE, poll_frequency=0.05, ignored_exceptions=swapped)
        waiting.until(lambda _: text in self.text, f"{text!r} never came")
        self._await_focus()

    def complaints(self) -> list[str]:
        """What the browser said on its console: errors, and breaches of the content policy. A refusal is none of these."""
        said = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [entry["message"] for entry in said if entry["level"] != "INFO" and not _REFUSED.search(entry["message"])]

    def shot(self, name: str) -> None:
        """A picture of the whole page, where pictures are wanted."""
        if self.shots is None:
            return
        height = self.driver.execute_script("return document.documentElement.scrollHeight")
        clip = {"x": 0, "y": 0, "width": self.driver.execute_script("return innerWidth"), "height": height, "scale": 1}
        taken = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
        picture = Image.open(io.BytesIO(base64.b64decode(taken["data"]))).convert("RGB")
        self.shots.mkdir(parents=True, exist_ok=True)
        picture.quantize(96, dither=Image.Dither.NONE).save(self.shots / f"{name}.png", optimize=True)

    # ------------------------------------------------------------------ doing, by keyboard alone

    def go(self, url: str) -> None:
        self.driver.get(url)

    def keys(self, *pressed: str) -> None:
        self._await_focus()
        ActionChains(self.driver).send_keys(*pressed).perform()

    def _await_focus(self) -> None:
        """A page gives its first focus with its first frame, which a busy machine draws some time after the page is loaded."""
        try:
            WebDriverWait(self.driver, 6, poll_frequency=0.02).until(lambda driver: driver.execute_script(_FOCUSED))
        except TimeoutException:  # nothing of it can have the focus
            self.driver.execute_script("document.wasFocused = true")

    def tab_to(self, words: str) -> WebElement:
        """Tab until something is focused that a screen reader would call by these words."""
        self._await_focus()
        for _ in range(MOST_TABS):
            try:
                reached = self.focused
                if reached.tag_name not in ("body", "main") and words in self.name_of(reached):
                    return reached
            except StaleElementReferenceException:
                continue  # the page was just swapped
            self.keys(Keys.TAB)
        raise AssertionError(f"the keyboard does not reach {words!r}")

    def name_of(self, element: WebElement) -> str:
        return str(element.accessible_name or element.text)

    def tick(self, words: str) -> None:
        """Tick a box by its name; once more where the key came before the page took it, never while it may still come."""
        for _ in range(3):
            box = self.tab_to(words)
            if box.is_selected():
                return
            self.keys(Keys.SPACE)
            with suppress(TimeoutException):
                WebDriverWait(self.driver, 6, poll_frequency=0.05).until(partial(_is_ticked, box))
        assert self.tab_to(words).is_selected(), f"{words!r} cannot be ticked"

    def choose(self, words: str, option: str) -> None:
        """Go down a list until this option is chosen; typing its name would start again where a key comes late."""
        chosen = Select(self.tab_to(words))
        self.keys(Keys.HOME)
        for _ in chosen.options:
            present = chosen.first_selected_option.text
            if present.startswith(option):
                return
            self.keys(Keys.ARROW_DOWN)
            for _ in range(100):
                if chosen.first_selected_option.text != present:
                    break
                time.sleep(0.05)
        raise AssertionError(f"{words!r} has no {option!r}")

    def follow(self, css: str) -> None:
        """Go where a link leads, by its key; once more where the key came before the page took it."""
        here = self.driver.current_url
        for _ in range(3):
            with suppress(NoSuchElementException, StaleElementReferenceException):  # where it has led away at last
                self.driver.find_element(By.CSS_SELECTOR, css).send_keys(Keys.ENTER)
            with suppress(TimeoutException):
                WebDriverWait(self.driver, 20, poll_frequency=0.05).until(lambda driver: driver.current_url != here)
                return
        raise AssertionError(f"{css} leads nowhere")

    def press(self, words: str) -> None:
        """Press what is reached by its name; once more where the page was renewed between the last tab and the key."""
        for _ in range(3):
            with suppress(StaleElementReferenceException):
                self.tab_to(words).send_keys(Keys.ENTER)
                return
        raise AssertionError(f"{words!r} does not stay to be pressed")

    def sign_in(self, url: str, name: str, passphrase: str) -> None:
        """Choose a name on the sign-in page and enter its passphrase."""
        self.go(f"{url}/signin")
        self.keys(name[0])
        self.keys(Keys.TAB)
        self.keys(passphrase, Keys.ENTER)


def _is_ticked(box: WebElement, _: object) -> bool:
    return bool(box.is_selected())


@contextmanager
def browser(shots: Path | None = None, *, width: int = WIDTH) -> Iterator[Browser]:
    """A fresh browser; skips where there is none."""
    chromium, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium and chromedriver are not on this machine")
    options = Options()
    options.binary_location = chromium
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--lang=zh-CN",
        f"--window-size={width},{HEIGHT}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield Browser(started, shots)
    finally:
        started.quit()
