"""In CI a skipped test counts as failed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

TESTS = """
import pytest

def test_absent():
    pytest.skip("no browser here")

def test_other_platform():
    pytest.skip("platform: Windows has no fork")

@pytest.mark.xfail(reason="known")
def test_known():
    assert False
"""
ABSENT_MODULE = "import pytest\n\npytest.importorskip('no_such_module')\n"


def outcome(folder: Path, ci: str) -> str:
    """The last line that pytest prints for the tests in ``folder``."""
    command = [sys.executable, "-m", "pytest", "-q", "--color=no", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    environment = {**os.environ, "XINQIAO_CI": ci, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, "-c", os.devnull, "--rootdir", folder, folder],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize(("ci", "expected"), [("1", "1 failed, 1 skipped, 1 xfailed"), ("", "2 skipped, 1 xfailed")])
def test_skipped_test_fails_in_ci_alone(tmp_path: Path, ci: str, expected: str) -> None:
    (tmp_path / "test_some.py").write_text(TESTS, encoding="utf-8")
    assert outcome(tmp_path, ci).startswith(expected)


@pytest.mark.parametrize(("ci", "expected"), [("1", "1 error"), ("", "1 skipped")])
def test_skipped_module_fails_in_ci_alone(tmp_path: Path, ci: str, expected: str) -> None:
    (tmp_path / "test_module.py").write_text(ABSENT_MODULE, encoding="utf-8")
    assert outcome(tmp_path, ci).startswith(expected)
