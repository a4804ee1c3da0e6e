"""A user's own `models.py`, or another distribution's `crypto`, beside ours: importing explains what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGES = ("crypto", "models", "audit", "sharing_node", "bank_client")
SCRIPT = Path(sys.executable).parent / "xinqiao"


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "500", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def folder_with_models(tmp_path: Path) -> Path:
    (tmp_path / "models.py").write_text("raise SystemExit('a stranger ran')\n", encoding="utf-8")
    return tmp_path


def assert_explained(result: subprocess.CompletedProcess[str], name: str, shadow: Path) -> None:
    last = result.stderr.strip().splitlines()[-1]
    assert result.returncode == 1
    assert f"needs the package '{name}' of xinqiao, but Python finds {shadow} first" in last
    assert "Rename that file or folder, or run from another folder" in last
    assert "a stranger ran" not in result.stderr


@pytest.mark.parametrize("package", ["bank_client", "sharing_node", "audit"])
def test_import_names_the_file_that_shadows_models(folder_with_models: Path, package: str) -> None:
    result = run(sys.executable, "-c", f"import {package}", cwd=folder_with_models)
    assert_explained(result, "models", folder_with_models / "models.py")


def test_module_command_explains(folder_with_models: Path) -> None:
    result = run(sys.executable, "-m", "bank_client", "--help", cwd=folder_with_models)
    assert_explained(result, "models", folder_with_models / "models.py")


def test_script_does_not_look_into_the_working_folder(folder_with_models: Path) -> None:
    result = run(SCRIPT, "--help", cwd=folder_with_models)
    assert result.returncode == 0, result.stderr
    assert "Usage: xinqiao" in result.stdout


def test_script_explains_what_the_search_path_shadows(folder_with_models: Path) -> None:
    result = run(SCRIPT, "--help", cwd=ROOT, PYTHONPATH=str(folder_with_models))
    assert_explained(result, "models", folder_with_models / "models.py")


def test_a_package_that_was_imported_earlier_is_seen(tmp_path: Path) -> None:
    (tmp_path / "crypto.py").write_text("", encoding="utf-8")
    result = run(sys.executable, "-c", "import crypto, models", cwd=tmp_path)
    assert_explained(result, "crypto", tmp_path / "crypto.py")


def test_a_folder_without_init_shadows_nothing(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    result = run(sys.executable, "-c", "import bank_client", cwd=tmp_path)
    assert result.returncode == 0, result.stderr


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder that holds our packages as an installation does."""
    for name in PACKAGES:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_a_distribution_installed_over_ours_is_seen(installed: Path) -> None:
    (installed / "crypto" / "__init__.py").write_text("", encoding="utf-8")
    result = run(sys.executable, "-c", "import models", cwd=installed)
    assert result.returncode == 1
    assert "another distribution was installed over it" in result.stderr


def test_a_missing_package_is_seen(installed: Path) -> None:
    shutil.rmtree(installed / "crypto")
    result = run(sys.executable, "-S", "-c", "import models", cwd=installed)
    assert result.returncode == 1
    assert "it is missing at" in result.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_own_packages_import_anywhere(installed: Path, package: str) -> None:
    result = run(sys.executable, "-c", f"import {package}", cwd=installed)
    assert result.returncode == 0, result.stderr
