"""What every test shares: where the real data and the published vectors lie."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.browser import Browser

pytest_plugins = ["tests.databases"]

# The same examples on every machine, however slow it is; a search for new ones: --hypothesis-profile=default
settings.register_profile("xinqiao", derandomize=True, deadline=None)
settings.load_profile("xinqiao")

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("XINQIAO_SHARED", ROOT.parent / "shared"))


def shared_path(name: str) -> Path:
    """The path of a shared data or vector file, e.g. ``vectors/rfc9497_oprf/allVectors.json``; skips where it is absent."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not on this machine; set XINQIAO_SHARED to the folder that holds data/ and vectors/")
    return path


# In CI a test that does not run is a failure, since everything that the tests need is installed there.
# What cannot run on a platform at all says so: its reason starts with "platform:".


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get("XINQIAO_CI") != "1" or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not reason.removeprefix("Skipped: ").startswith("platform:"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which counts as failed in CI: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report)
    return report


# -------------------------------------------------------------------- browsers


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", type=Path, help="write pictures of pages into this folder")


@pytest.fixture(scope="session")
def shots(request: pytest.FixtureRequest) -> Path | None:
    """Where pictures go, if they are wanted: `pytest tests/desk --screenshots docs/images/desk`."""
    folder: Path | None = request.config.getoption("--screenshots", default=None)
    return folder


@pytest.fixture
def window(shots: Path | None) -> Iterator[Browser]:
    """A browser that has nothing to complain about at the end."""
    from tests.browser import browser  # only who looks at pages needs a driver

    with browser(shots) as opened:
        yield opened
        assert opened.complaints() == []
