"""Both languages say everything, pages ask for nothing that is not there, and nothing runs that did not come as a file."""

from __future__ import annotations

import hashlib
import re
import string
from pathlib import Path

import pytest

from bank_client.desk import web
from bank_client.desk.texts import TEXTS, say
from bank_client.desk.views import UNITS
from models.catalogue import default_catalogue
from models.catalogue.departments import DEPARTMENTS
from models.problems import REGISTRY, NoConsent, OverBudget, Problem
from models.web import pages, refusals
from models.web.texts import LANGUAGES

FOLDER, SHARED = Path(web.__file__).parent, Path(pages.__file__).parent
PAGES = sorted(page for folder in (FOLDER, SHARED) for page in (folder / "templates").glob("*.html"))
CALL = re.compile(r"""\bt\(\s*["']([a-z_-]+)["']\s*([~,)])""")
IN_CODE = re.compile(r'(?:Notice|say)\((?:language, )?"([a-z-]+)"')


def gaps(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_say_everything_with_the_same_gaps() -> None:
    for key, texts in TEXTS.items():
        assert len(texts) == len(LANGUAGES), key
        assert all(texts), key
        assert gaps(texts[0]) == gaps(texts[1]), key
        assert re.search(r"[一-鿿]", texts[0]), key
        assert not re.search(r"[一-鿿]", texts[1]), key


def test_pages_ask_for_known_texts_and_every_text_is_asked_for() -> None:
    asked: set[str] = set()
    for page in PAGES:
        for key, after in CALL.findall(page.read_text(encoding="utf-8")):
            found = {known for known in TEXTS if known.startswith(key)} if after == "~" else {key} & TEXTS.keys()
            assert found, f"{page.name}: {key}"
            asked |= found
    files = [file for folder in (FOLDER, SHARED) for file in folder.glob("*.py") if file.name != "texts.py"]
    code = "".join(file.read_text(encoding="utf-8") for file in files)
    asked |= set(IN_CODE.findall(code)) | {key for key in TEXTS if f'"{key}"' in code}
    lists = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    asked |= {key for key in TEXTS if f'"{key}"' in lists} | {key for key in TEXTS if key.startswith("id-")}
    assert TEXTS.keys() - asked == set(), "nobody says this"


def test_pages_hold_no_script_no_style_and_nothing_of_another_site() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|hx-on|javascript:", text), page.name
        assert "http://" not in text, page.name
        assert "https://" not in text, page.name
        for form in re.findall(r"<form.*?</form>", text, re.DOTALL):
            assert 'name="csrf"' in form, page.name
            assert 'method="post"' in form, page.name


def test_every_field_that_is_typed_or_chosen_has_a_label() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for kind, attributes in re.findall(r"<(input|select)\b([^>]*)", text):
            if 'type="hidden"' in attributes:
                continue
            named = re.search(r'\bid="([^"]+)"', attributes)
            labelled = named and f'<label for="{named[1]}"' in text
            assert labelled or re.search(r'type="(checkbox|radio)"', attributes), f"{page.name}: {kind} {attributes}"


def test_the_vendored_script_is_the_one_that_is_recorded() -> None:
    record = (SHARED / "static" / "htmx.LICENSE.txt").read_text(encoding="utf-8")
    script = (SHARED / "static" / "htmx.min.js").read_bytes()
    assert hashlib.sha256(script).hexdigest() in record
    version = re.search(rb'version:"([0-9.]+)"', script)
    assert version
    assert f"htmx {version[1].decode()}" in record


def test_refusals_are_known_problems_and_keep_what_is_not_translated() -> None:
    assert set(refusals.TITLES) <= set(REGISTRY)
    assert "授权" in refusals.refusal_of(NoConsent("no such words"), "zh").title
    assert refusals.refusal_of(NoConsent("no such words"), "zh").detail == "no such words"
    assert refusals.refusal_of(NoConsent(), "en") == refusals.Refusal(NoConsent.title, "", NoConsent.advice)
    assert refusals.refusal_of(Problem("why"), "en").next_step == Problem.advice


def test_sentences_that_are_translated_are_still_said() -> None:
    root = FOLDER.parent.parent
    places = [*(root / "audit" / "office").glob("*.py"), root / "models" / "identity.py"]
    code = re.sub(r'"\s+f?"', "", "".join(file.read_text(encoding="utf-8") for file in places))
    code = code.replace("{self._kind}", "query").replace("{OPAQUE_LENGTH}", "64")
    for sentence in (*refusals.DETAILS, *refusals.BUDGETS):
        assert sentence in code, sentence
    said = OverBudget("this officer's budget of questions a day has 0 of 200 left; it renews on Monday")
    assert refusals.refusal_of(said, "zh").detail == "您今天的查询次数还剩 0 次，共 200 次"


def test_departments_and_units_of_the_catalogue_have_words() -> None:
    catalogue = default_catalogue()
    assert {part for field in catalogue for part in field.source_department.split("/")} <= set(DEPARTMENTS)
    assert {field.unit for field in catalogue if not field.unit.isascii()} <= set(UNITS)


def test_an_unknown_text_is_an_error() -> None:
    with pytest.raises(KeyError):
        say("zh", "no-such-key")
