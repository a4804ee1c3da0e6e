"""One county with a console for all tests here, and ways to sign in.

``console`` is the `Place`; ``visitor`` a browser without eyes; ``window`` a real one, and ``sign_in(Role.CLERK)`` signs the
person of a role in to it by keyboard (``sign_in(account=login)`` a subject). ``--screenshots FOLDER`` has pages pictured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from selenium.webdriver import Keys

from models.parties import Role
from tests.browser import Browser
from tests.console.place import PASSPHRASE, PEOPLE, Place, Visitor, cheap, county

SignIn = Callable[..., Browser]


@pytest.fixture(scope="session")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with pytest.MonkeyPatch.context() as patched:
        cheap(patched)
        with county(tmp_path_factory.mktemp("county")) as made:
            yield made


@pytest.fixture
def visitor(console: Place) -> Visitor:
    return Visitor(console)


@pytest.fixture
def sign_in(window: Browser, console: Place) -> SignIn:
    """Sign in to the real browser: the person of a role, a named person, or a subject by the account's login."""

    def enter(role: Role | str = Role.CLERK, *, account: str = "", into: Browser | None = None) -> Browser:
        browser = into or window
        if account:
            browser.go(f"{console.url}/me/signin")
            browser.keys(account, Keys.TAB, PASSPHRASE, Keys.ENTER)
            owner = f"account:{account}"
        else:
            owner = PEOPLE[role][0] if isinstance(role, Role) else role
            name = next(member.name for member in console.console.accounts.people() if member.id == owner)
            browser.sign_in(console.url, name, PASSPHRASE)
        browser.wait_for("第二重验证")
        browser.keys(console.code(owner), Keys.ENTER)
        browser.wait_for("退出")
        browser.wait_for("首页")
        return browser

    return enter
