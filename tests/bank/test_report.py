"""The report: one file that fetches nothing, says what was signed, and lets no name become markup."""

from __future__ import annotations

import copy
import re
import stat
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bank_client import Bank, JointScorecard
from bank_client.report import write_report
from bank_client.report.content import OUT_OF_FOLD, content_of, own_table
from bank_client.report.summary import GROUPS, TrainingSummary
from models import wire
from models.registry import ModelEntry, ModelEvent, ModelRecord
from models.scorecard.card import Budget, DataSource
from models.scorecard.metrics import auc, ks
from models.scorecard.tables import BinFigure
from models.tables import RegisterModel
from models.training import FieldFigure, Figures
from tests.bank.test_joint_scorecard import ROWS, a_bank, customers, node_card, trained

EVIL = '<script>alert("$x^2$")</script>'


def released(bank: Bank, model_id: str = "m1", parent: str = "", **parameters: Any) -> JointScorecard:
    """A model after release, registered, with the figures of two node fields: one described, one not."""
    model = trained(bank)
    model.set_params(**parameters)
    described = (
        BinFigure(label="≤ 3", rows=700, bad_rate=0.2, woe=-0.4, part=0.03),
        BinFigure(label="missing", rows=None, bad_rate=None, woe=None, part=None),
        BinFigure(label="> 3", rows=480, bad_rate=0.41, woe=0.5, part=0.05),
    )
    unnamed = tuple(wire.replace(entry, label="") for entry in described)
    fields = (
        FieldFigure(name="land_area", iv=0.08, bins=3, vif=1.1, table=described, psi=0.13),
        FieldFigure(name=EVIL, iv=0.07, bins=3, vif=1.2, table=unnamed),
    )
    side = len(fields) + len(model.columns_)
    correlation = wire.pack(np.eye(side))
    model.set_figures(Figures(job="j1", usable=True, rows=ROWS, fields=fields, correlation=correlation))
    model.bands_ = customers()[2][::-1].copy()
    source = DataSource(field_set="land", departments=("NY",), as_of="2026-06-30", deliveries=2, digest="d" * 64)
    budget = Budget(name="releases a subject and year", used=1, allowed=4)
    card = wire.replace(node_card(), model=model_id, budgets=(budget,), data_day="2026-07-01", sources=(source,))
    model._fit_half(card)
    model._make_card(card, parent)
    model.node_card_ = bank.sign(card)
    signed = bank.sign(model.card_)
    model.registered_ = RegisterModel(bank_card=signed, node_card=model.node_card_, countersigned=signed)
    return model


class Page(HTMLParser):
    """What a browser would make of it: tags that are open, addresses that would be fetched, ids and links within."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.append(value or "")
            elif name in {"href", "src", "xlink:href", "data", "action", "poster", "srcset"}:
                (self.links if (value or "").startswith("#") else self.fetched).append(value or "")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return a_bank(tmp_path_factory.mktemp("bank"))


@pytest.fixture(scope="module")
def model(session: Bank) -> JointScorecard:
    return released(session)


@pytest.fixture(scope="module")
def page(model: JointScorecard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its report, with an office's entry, and a note that tries to be markup."""
    entry = ModelEntry(
        id="m1", bank="bank-a", project="p1", parent="m0", version=2, state="suspended", reason="drift in spring", served=False,
        registered_at=1_790_000_000, registered_by="bank-a/mo", review_by=1_800_000_000, card="c", rows=ROWS, auc=0.7, ks=0.3,
    )  # fmt: skip
    event = ModelEvent(at=1_791_000_000, state="suspended", reason="drift in spring", by="office/wang", review_by=1_800_000_000)
    record = ModelRecord(entry=entry, cards=model.registered_, approval=None, history=(event,), lineage=(entry,))
    path = tmp_path_factory.mktemp("report") / "report.html"
    return model.report(path, note=f"合成数据 {EVIL}", records=[record])


def test_a_report_fetches_nothing(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    parsed = Page(text)
    assert parsed.fetched == []
    assert not {"script", "link", "img", "image", "iframe", "object", "embed", "base", "form"} & set(parsed.tags)
    assert "http://" not in text
    assert "https://" not in text
    assert "@import" not in text
    assert set(re.findall(r"url\(([^)]*)\)", text)) <= {f"#{name}" for name in parsed.ids}
    assert "default-src 'none'" in text
    assert {link.removeprefix("#") for link in parsed.links} <= set(parsed.ids)
    assert len(parsed.ids) == len(set(parsed.ids))
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert text.count("<svg") >= 12


def test_no_name_becomes_markup(page: Path) -> None:
    """Neither a note nor the name of a field, in a table or in a chart."""
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 5
    assert "合成数据 &lt;script&gt;" in text


def test_what_was_signed_is_what_it_says(page: Path, model: JointScorecard) -> None:
    text, card = page.read_text(encoding="utf-8"), model.card_
    for said in (
        f"{card.metrics.auc:.3f}",
        f"{card.metrics.auc_low:.3f} – {card.metrics.auc_high:.3f}",
        model.registered_.bank_card.digest(),
        model.node_card_.digest(),
        card.half,
        card.node.cohort_root,
        "the half in this file is the one on the card",
        "releases a subject and year",
        "2026-07-01",
        "好客户",
        "≤ 3",
    ):
        assert said in text, said
    for learned in (*card.node.leakage.node_learns, *card.node.leakage.bank_learns, *card.node.leakage.office_learns):
        assert learned[:1].upper() + learned[1:] in text


def test_what_the_office_has_on_file_is_told(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for said in ("drift in spring", "office/wang", "2027-01-15", "version 2"):
        assert said in text


def test_another_half_than_the_cards_is_noticed(model: JointScorecard) -> None:
    other = wire.replace(model.card_, half="0" * 64)
    changed = copy.copy(model)
    changed.set_card(other)
    assert [content_of([one]).models[0].half_holds for one in (model, changed)] == [True, False]


def test_counts_stand_in_for_the_rows(model: JointScorecard) -> None:
    summary = TrainingSummary.of(model)
    labels, probabilities = summary.rows()
    assert (labels.size, int(labels.sum())) == (ROWS, int(model.labels_.sum()))
    assert len(summary.probabilities) <= GROUPS
    assert auc(labels, probabilities) == pytest.approx(auc(model.labels_, model.out_of_fold_), abs=0.003)
    assert ks(labels, probabilities) == pytest.approx(ks(model.labels_, model.out_of_fold_), abs=0.01)
    assert sum(summary.bands.rows) == ROWS
    for column in model.columns_:
        table = own_table(column, summary.bins[column.bins.field])
        assert sum(entry.rows or 0 for entry in table) == ROWS
        assert sum(entry.part or 0 for entry in table) == pytest.approx(column.iv, abs=1e-9)


def test_a_report_from_the_file_is_that_of_the_session(model: JointScorecard, tmp_path: Path) -> None:
    """To the byte, so that a report can be compared with another."""
    model.save(tmp_path / "model.json")
    loaded = JointScorecard.load(tmp_path / "model.json")
    pages = [one.report(tmp_path / f"{n}.html", now=1.8e9).read_bytes() for n, one in enumerate((model, loaded))]
    assert pages[0] == pages[1]
    assert OUT_OF_FOLD.encode() in pages[0]


def test_rows_with_outcomes_and_periods(model: JointScorecard, tmp_path: Path) -> None:
    frame, labels, _ = customers()
    quarter = pd.Series(np.where(np.arange(ROWS) % 2, "2026Q1", "2026Q2"))
    with pytest.warns(UserWarning, match="were trained on"):
        text = model.report(tmp_path / "r.html", frame, labels, period=quarter).read_text(encoding="utf-8")
    assert "2026Q1" in text
    assert "2026Q2" in text
    assert f"{ROWS:,} of which the model was trained on" in text
    with pytest.raises(ValueError, match="together"):
        model.report(tmp_path / "r.html", frame)


@pytest.mark.filterwarnings("ignore:.*were trained on")
def test_champion_and_challenger_side_by_side(session: Bank, tmp_path: Path) -> None:
    champion, challenger = released(session, encoding="woe", C=0.0001), released(session, "m2", "m1", encoding="woe")
    frame, labels, _ = customers()
    content = content_of([champion, challenger], frame, labels, approve=0.7)
    assert content.comparison is not None
    assert content.comparison.table["difference"]["auc"] > 0
    text = write_report([champion, challenger], tmp_path / "both.html", frame, labels).read_text(encoding="utf-8")
    for said in ("the challenger alone", "95&nbsp;% interval", "Champion and challenger", '<span class="hex">m2</span>'):
        assert said in text
    parsed = Page(text)
    assert len(parsed.ids) == len(set(parsed.ids))
    # In one session both were judged on the same rows; from files there are no rows to compare on.
    assert content_of([champion, challenger]).comparison is not None
    for n, model in enumerate((champion, challenger)):
        model.save(tmp_path / f"{n}.json")
    loaded = [JointScorecard.load(tmp_path / f"{n}.json") for n in (0, 1)]
    assert content_of(loaded).comparison is None


def test_a_model_without_release_has_no_report(model: JointScorecard, session: Bank, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="call release first"):
        trained(session).report(tmp_path / "r.html")
    bare = copy.copy(model)
    del bare.summary_
    with pytest.raises(ValueError, match="give rows with outcomes"):
        bare.report(tmp_path / "r.html")
