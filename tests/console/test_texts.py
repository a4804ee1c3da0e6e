"""Both languages say everything; codes have words; pages ask for nothing that is not there and run nothing inline."""

from __future__ import annotations

import re
import string
from pathlib import Path

from audit.console import registry, web
from audit.console.texts import TEXTS
from models.approvals import ActKind
from models.consents import Purpose
from models.parties import InstitutionKind, Role
from models.projects import ProjectKind
from models.registry import STATES
from models.web import pages
from models.web.texts import LANGUAGES, Texts

FOLDER, SHARED = Path(web.__file__).parent, Path(pages.__file__).parent
ALL = Texts(TEXTS, *(topic.texts for topic in registry.topics()))
PAGES = sorted(page for folder in (FOLDER, SHARED) for page in (folder / "templates").glob("*.html"))
CALL = re.compile(r"""\bt\(\s*["']([a-z_.-]+)["']\s*([~,)])""")
NAMED_AND_NUMBERED = {"month"}
"""A month has a number in Chinese and a name in English."""
IN_CODE = re.compile(r'Notice\("([a-z-]+)"')


def gaps(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_say_everything_with_the_same_gaps() -> None:
    for key, texts in ALL.items():
        assert len(texts) == len(LANGUAGES), key
        assert all(texts), key
        assert gaps(texts[0]) == gaps(texts[1]) or key in NAMED_AND_NUMBERED, key
        assert not re.search(r"[一-鿿]", texts[1]) or "信桥" in texts[1] or "中文" in texts[1], key


def test_pages_and_notices_ask_for_known_texts() -> None:
    for page in PAGES:
        for key, after in CALL.findall(page.read_text(encoding="utf-8")):
            found = any(known.startswith(key) for known in ALL) if after == "~" else key in ALL
            assert found, f"{page.name}: {key}"
    for file in FOLDER.glob("[a-z]*.py"):
        for key in IN_CODE.findall(file.read_text(encoding="utf-8")):
            assert key in ALL, f"{file.name}: {key}"


def test_codes_of_the_services_have_words() -> None:
    codes = [f"role-{role}" for role in Role] + [f"institution-{kind}" for kind in InstitutionKind]
    codes += [f"kind-{kind}" for kind in ProjectKind] + [f"act-{kind}" for kind in ActKind]
    codes += [f"purpose-{purpose}" for purpose in Purpose] + [f"state-{state}" for state in STATES]
    assert [code for code in codes if code not in ALL] == []


def test_every_entry_of_the_navigation_has_its_text_and_place() -> None:
    entries = [entry for topic in registry.topics() for entry in topic.entries]
    assert {entry.label for entry in entries} <= set(ALL)
    assert len({entry.path for entry in entries}) == len(entries)


def test_pages_hold_no_script_no_style_and_forms_carry_the_token() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|hx-on|javascript:", text), page.name
        assert "http://" not in text, page.name
        assert "https://" not in text, page.name
        for form in re.findall(r"<form.*?</form>", text, re.DOTALL):
            assert 'method="get"' in form or 'name="csrf"' in form or "hidden()" in form, page.name
