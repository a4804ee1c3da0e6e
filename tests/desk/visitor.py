"""A browser without eyes: cookies, forms with their tokens, and the text of a page."""

from __future__ import annotations

import re
import time
from html import unescape
from typing import Any

import httpx2

from tests.desk.place import PASSPHRASE, Branch

_TOKEN = re.compile(r'name="csrf" value="([0-9a-f]*)"')
_TAGS = re.compile(r"<[^>]+>")

TRIES, PAUSE = 3_000, 0.02


class Visitor:
    """One browser session at one desk."""

    def __init__(self, branch: Branch) -> None:
        self.branch = branch
        self.http = httpx2.Client(base_url=branch.url, timeout=60.0, trust_env=False, follow_redirects=False)
        self.last: httpx2.Response = self.get("/signin")

    def get(self, path: str, **headers: str) -> httpx2.Response:
        self.last = self.http.get(path, headers=headers)
        return self.last

    def post(self, path: str, files: dict[str, Any] | None = None, **values: Any) -> httpx2.Response:
        """Send a form with the token of the page that was seen last."""
        if token := _TOKEN.search(self.last.text):
            self.token = token[1]
        self.last = self.http.post(path, data={"csrf": self.token} | values, files=files)
        return self.last

    def follow(self) -> httpx2.Response:
        assert self.last.status_code == 303, self.text
        return self.get(self.last.headers["location"])

    def sign_in(self, person: str, passphrase: str = PASSPHRASE) -> Visitor:
        self.get("/signin")
        self.post("/signin", person=person, passphrase=passphrase)
        self.follow()
        return self

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", unescape(_TAGS.sub(" ", self.last.text)))

    # ------------------------------------------------------------------ what an officer does

    def begin(self, subject: str, reference: str = "CG-2026-0001") -> str:
        """Enter a person; the path of the case."""
        self.get("/new")
        project = self.branch.config.projects[0].id
        self.post("/cases", subject=subject, project=project, purpose="loan-approval", reference=reference)
        self.follow()
        return str(self.last.url.path)

    def ask(self, case: str) -> None:
        """Make the check and wait for its end."""
        self.post(f"{case}/ask")
        self.wait(case)

    def wait(self, case: str) -> None:
        for _ in range(TRIES):
            if "HX-Redirect" in self.get(f"{case}/state?seen=waiting", **{"HX-Request": "true"}).headers:
                break
            time.sleep(PAUSE)
        self.get(case)

    def until(self, said: str, path: str) -> None:
        """Look at a page again and again until it says something."""
        for _ in range(TRIES):
            self.get(path)
            if said in self.text:
                return
            time.sleep(PAUSE)
        raise AssertionError(f"{said!r} was never said")
