"""The builder as a process: `serve` starts one beside itself, starts it again, and does not outlive it in either way."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from bank_client.demo.town import Town

pytestmark = pytest.mark.e2e
PATIENCE = 60.0


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


def builders(town: Town) -> list[psutil.Process]:
    assert town.node.process is not None
    found = []
    for process in psutil.Process(town.node.process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it ended between the list and the look, or is a zombie
            if "builder" in process.cmdline():
                found.append(process)
    return found


def ended(process: psutil.Process) -> bool:
    """Also where nobody has asked for how it ended."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # between the one look and the other
        return True


def test_the_builder_comes_again_and_ends_with_the_service(tmp_path: Path) -> None:
    with Town(tmp_path, identity="national") as town:
        until(lambda: len(builders(town)) == 1)
        [first] = builders(town)
        first.kill()
        until(lambda: [process.pid for process in builders(town)] not in ([], [first.pid]))
        [second] = builders(town)
        town.node.kill()
        until(lambda: ended(second))
        town.node.start()
        town.node.wait_ready()
        until(lambda: len(builders(town)) == 1)
        [third] = builders(town)
        town.node.stop()
        until(lambda: ended(third))

        town.node.environment["XINQIAO_NODE_BUILDER"] = "off"
        town.node.start()
        town.node.wait_ready()
        assert builders(town) == []
