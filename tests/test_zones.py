"""Days and moments of pages are those of the setting, wherever the machine is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from fastapi import Request

from bank_client.desk.forms import ConsentForm, consents_of
from models.consents import ConsentKind
from models.key_files import ConfigError
from models.web.pages import Pages
from models.web.texts import Texts
from models.zones import DEFAULT_ZONE, begin_of, day_at, zone_named

LATE = 1_773_763_200
"""16:00 UTC on 17 March 2026: midnight in Shanghai, on the 18th."""
SHANGHAI = zone_named(DEFAULT_ZONE)


@pytest.fixture(params=["UTC", "America/Los_Angeles"])
def elsewhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine that lives in another zone, as a container does."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("zone", "language", "shown"),
    [
        (DEFAULT_ZONE, "zh", "2026年3月18日|2026年3月18日 00:00"),
        (DEFAULT_ZONE, "en", "18 Mar 2026|18 Mar 2026 00:00"),
        ("Asia/Urumqi", "zh", "2026年3月17日|2026年3月17日 22:00"),
    ],
)
def test_pages_show_moments_of_their_zone(tmp_path: Path, zone: str, language: str, shown: str) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "one.html").write_text("{{ day(at) }}|{{ moment(at) }}")
    pages = Pages(tmp_path, Texts({}), cookie="c", secure=False, zone=zone_named(zone))
    asked = Request({"type": "http", "method": "GET", "path": "/", "headers": [(b"cookie", f"language={language}".encode())]})
    assert bytes(pages.page(asked, "one.html", at=LATE).body).decode() == shown


@pytest.mark.usefixtures("elsewhere")
def test_a_consent_taken_at_the_desk_ends_with_its_last_day_there() -> None:
    form = ConsentForm((ConsentKind.QUERY,), ("tax",), (), date(2026, 3, 17), "signed-form", "bank/chen", b"")
    [consent] = consents_of(form, "d" * 64, "person", "bank", "loan-approval", LATE - 3600, SHANGHAI)
    assert consent.valid_to == LATE == begin_of(date(2026, 3, 18), SHANGHAI)
    assert day_at(LATE - 1, SHANGHAI) == date(2026, 3, 17)


def test_a_zone_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="Asia/Shanghai"):
        zone_named("Shanghai time")
