"""What must hold of the repository itself: what is tracked, locked, documented and imported."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from models.cli import GROUP
from tests.conftest import ROOT

PACKAGES = ("sharing_node", "bank_client", "models", "crypto", "audit")
FOLDERS = {*PACKAGES, "tests", "benchmarks", "docs", "docker", ".ci"}
READMES = ("README.md", "README.zh-CN.md")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# Joined here so that this file does not hold them itself.
HOSTS = ["pypi." + "org", "files.python" + "hosted", "conda.ana" + "conda", "registry.npm" + "js", "pypi.tu" + "na"]
MACHINE_PATH = re.compile(r"(?<![\w.~$}])/(?:work|tmp|root|home/\w+)" + "/")


def tracked() -> list[Path]:
    """Every file of the repository, as git sees it."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [ROOT / name for name in done.stdout.split("\0") if name]
    return [file for file in files if file.is_file()]


def text_of(file: Path) -> str:
    """The file's text; what is binary or in another encoding is read byte by byte."""
    return file.read_bytes().decode("utf-8", errors="replace")


def tracked_pages() -> list[Path]:
    return [file for file in tracked() if file.suffix == ".md"]


def test_no_registry_host_and_no_path_of_a_machine_is_tracked() -> None:
    found = []
    for file in tracked():
        for number, line in enumerate(text_of(file).splitlines(), start=1):
            if any(host in line.lower() for host in HOSTS) or MACHINE_PATH.search(line):
                found.append(f"{file.relative_to(ROOT)}:{number}: {line.strip()[:120]}")
    assert found == []


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("cd /wo" + "rk/main", True),
        ("open('/tm" + "p/x')", True),
        ("see docs/work/plan", False),
        ("`benchmarks/tmp/`", False),
    ],
)
def test_machine_paths_are_told_from_folders(line: str, named: bool) -> None:
    assert bool(MACHINE_PATH.search(line)) is named


def test_the_top_level_is_the_agreed_one() -> None:
    folders = {file.relative_to(ROOT).parts[0] for file in tracked() if len(file.relative_to(ROOT).parts) > 1}
    assert folders <= FOLDERS
    for package in PACKAGES:
        assert (ROOT / package / "py.typed").is_file(), f"{package} does not say that it is typed"


def locked() -> dict[str, str]:
    """Each entry of the lock by the name it pins."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    entries = re.split(r"\n(?=\S)", text.strip())
    return {re.split(r"[=\s\[;@]", entry, maxsplit=1)[0]: entry for entry in entries}


def test_every_locked_requirement_is_pinned_and_hashed() -> None:
    for name, entry in locked().items():
        head, *rest = entry.split(" \\\n")
        assert re.fullmatch(r"[a-z0-9-]+==[\w.+!]+( ; .+)?", head), f"{name} is not pinned: {head}"
        assert rest, f"{name} has no hash"
        for part in rest:
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}", part), f"{name}: {part}"


def test_every_declared_dependency_is_locked() -> None:
    project = PROJECT["project"]
    declared = [
        *PROJECT["build-system"]["requires"],
        *project["dependencies"],
        *(item for extra in project["optional-dependencies"].values() for item in extra),
        *PROJECT["dependency-groups"]["dev"],
    ]
    names = {re.split(r"[\[<>=!~; ]", item, maxsplit=1)[0].lower().replace("_", "-") for item in declared}
    assert names - {"xinqiao"} <= set(locked())


def test_installed_commands_are_the_declared_ones() -> None:
    declared = PROJECT["project"]["entry-points"][GROUP]
    installed = {entry.name: entry.value for entry in entry_points(group=GROUP)}
    assert installed == declared, "run make setup"
    extras = set(PROJECT["project"]["optional-dependencies"])
    for entry in entry_points(group=GROUP):
        assert set(entry.extras) <= extras, f"{entry.name} asks for an extra that does not exist"


def test_import_contracts_hold() -> None:
    command = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def commands(page: str) -> list[str]:
    """The lines of a page's shell blocks, in order: blocks that begin with a command of ours or of pip."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.M | re.S)
    shell = [block for block in blocks if re.match(r"(make|xinqiao|pip|\.venv/)", block)]
    return [line for block in shell for line in block.splitlines()]


def named(page: str, tool: str) -> set[str]:
    """The words that follow ``tool`` in a page's blocks and in its inline code."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return set(re.findall(rf"(?:`|^){tool} ([a-z]+)", text, re.M))


def test_the_two_readmes_name_the_same_commands() -> None:
    english, chinese = READMES
    assert commands(english) == commands(chinese)
    assert {"make demo", "make test"} <= set(commands(english))
    for tool in ("make", "xinqiao"):
        assert named(english, tool) == named(chinese, tool)


@pytest.mark.parametrize("page", [*READMES, "CONTRIBUTING.md"])
def test_every_command_that_is_named_exists(page: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):.*## ", makefile, re.M))
    assert named(page, "make") <= targets
    assert named(page, "xinqiao") <= set(PROJECT["project"]["entry-points"][GROUP])


def test_every_relative_link_leads_somewhere() -> None:
    broken = []
    for page in tracked_pages():
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text_of(page)):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []


def test_every_decision_is_complete_and_listed() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    listed = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    numbers = [page.name[:4] for page in pages]
    assert numbers == [f"{number:04}" for number in range(len(pages))], "decisions are numbered without gaps"
    for page in pages:
        text = page.read_text(encoding="utf-8")
        headings = re.findall(r"^## (.+)$", text, re.M)
        assert headings == ["Context", "Decision", "Consequences"], page.name
        assert text.startswith(f"# {page.name[:4]} "), page.name
        assert "\nStatus: " in text, page.name
        if page.name != "0000-template.md":
            assert f"(decisions/{page.name})" in listed, f"{page.name} is not in docs/README.md"


def test_hooks_are_local_and_run_the_locked_tools() -> None:
    config = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert re.findall(r"repo: (.+)", config) == ["local"]
    tools = re.findall(r"entry: (\S+)", config)
    assert set(tools) == {f".venv/bin/{tool}" for tool in ("ruff", "mypy", "lint-imports")}


def test_the_licence_is_whole() -> None:
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    for words in ("Apache License", "Version 2.0, January 2004", "END OF TERMS AND CONDITIONS"):
        assert words in licence
