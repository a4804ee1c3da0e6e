"""Bands, the limit on what they say, the node's half on new rows, reason codes, the bank's design and the card."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from models.scorecard.bank import bank_columns
from models.scorecard.card import (
    Budget,
    LeakageStatement,
    ModelCard,
    NodeCard,
    field_cards,
    metrics,
    statement,
)
from models.scorecard.design import ENCODINGS, Design
from models.scorecard.learner import Learner, NodeColumns, NodeField
from models.scorecard.limits import LimitRefused, Limits
from models.scorecard.noise import NodeNoise
from models.scorecard.release import NOT_RELEASED, Release, explained, make_bands, release
from models.scorecard.score import NodeModel, score_table
from models.wire import decode, encode
from tests.models.scorecard_job import LIMITS, Cohort, cohort, node_columns


@pytest.fixture(scope="module")
def trained() -> tuple[Cohort, NodeColumns, Learner, Release]:
    made = cohort(21, rows=6_000)
    columns = node_columns(made)
    learner = Learner(columns, NodeNoise(b"n" * 32, b"root", LIMITS), LIMITS)
    bads = [np.bincount(c, made.labels, minlength=b) for c, b in zip(columns.codes, columns.bins, strict=True)]
    learner.learn_woe(np.concatenate(bads).astype(np.float64), b"m" * 32)
    weights = np.array([0.1, 0.3, 0.1, 0.0, 0.2, 0.1, 0.0, 0.1])
    return made, columns, learner, release(columns, learner.levels_, weights, [], LIMITS)


def test_explained_is_the_r2_of_additive_one_hot_regression() -> None:
    random = np.random.default_rng(1)
    codes = [random.integers(0, 6, 900), random.integers(0, 4, 900)]
    target = codes[0] ** 2 + 3.0 * (codes[1] == 2) + random.normal(size=900)
    dummies = np.concatenate([np.eye(6)[codes[0]], np.eye(4)[codes[1]]], axis=1)
    expected = LinearRegression().fit(dummies, target).score(dummies, target)
    r2 = explained(np.stack([target, np.ones(900)]), codes)
    assert r2[0] == pytest.approx(expected, abs=1e-9)
    assert r2[1] == 0.0
    assert explained(target[None], []).tolist() == [0.0]


def test_bands_have_support_three_digits_and_fixed_edges() -> None:
    u = np.round(np.random.default_rng(2).normal(size=3_000), 1)
    bands = make_bands(u, 20, 50)
    codes = bands.apply(u)
    assert len(bands.means) == len(bands.edges) + 1 <= 20
    assert np.bincount(codes).min() >= 50
    assert list(bands.means) == sorted(bands.means)
    assert all(float(f"{mean:.3g}") == mean for mean in bands.means)
    assert len(make_bands(np.zeros(100), 20, 50).means) == 1


def test_a_dominant_column_is_shrunk_until_the_limit_holds(trained: tuple[Cohort, NodeColumns, Learner, Release]) -> None:
    _, columns, learner, _ = trained
    weights = np.full(8, 0.02)
    weights[1] = 1.0
    made = release(columns, learner.levels_, weights, [], LIMITS)
    assert made.shrunk[0] == "n1" or "n1" in made.shrunk
    assert made.leakage.most <= 0.70
    assert made.leakage.mean <= 0.45
    strict = release(columns, learner.levels_, weights, [], Limits(r2_column=0.5))
    assert strict.leakage.most <= 0.50


def test_earlier_releases_count_even_where_they_reached_few(trained: tuple[Cohort, NodeColumns, Learner, Release]) -> None:
    _, columns, learner, made = trained
    telling = columns.codes[1]  # an earlier release that gave this column away
    with pytest.raises(LimitRefused, match="R²"):
        release(columns, learner.levels_, made.weights, [telling], LIMITS)
    some = np.where(np.arange(columns.rows) < 1_500, telling, NOT_RELEASED).astype(np.uint8)
    with pytest.raises(LimitRefused, match="too much"):
        release(columns, learner.levels_, made.weights, [some], LIMITS)


def test_a_model_without_weight_is_refused_not_released(trained: tuple[Cohort, NodeColumns, Learner, Release]) -> None:
    _, columns, learner, _ = trained
    with pytest.raises(LimitRefused):
        release(columns, learner.levels_, np.zeros(8), [], LIMITS)


def test_few_node_fields_halve_the_bands(trained: tuple[Cohort, NodeColumns, Learner, Release]) -> None:
    _, columns, learner, _ = trained
    few = NodeColumns(columns.fields[:5], columns.codes[:5], columns.raw[:5])
    made = release(few, learner.levels_[:5], np.full(5, 0.2), [], LIMITS)
    assert len(made.bands.means) <= 10


def test_new_rows_get_the_cohorts_bands_by_fixed_edges(trained: tuple[Cohort, NodeColumns, Learner, Release]) -> None:
    made, columns, learner, out = trained
    model = NodeModel.of(columns, learner.levels_, out)
    again = NodeModel.from_bytes(model.to_bytes())
    assert again == model
    assert again.bands_for_new_rows(made.node).tolist() == out.codes.tolist()
    fresh = cohort(22, rows=1_500)
    assert int(again.bands_for_new_rows(fresh.node).max()) < len(out.bands.means)
    assert "0.1" not in repr(model)


def test_reason_codes_name_themes_that_may_be_named_and_count_as_leakage(
    trained: tuple[Cohort, NodeColumns, Learner, Release],
) -> None:
    _, columns, learner, out = trained
    fields = tuple(
        NodeField(f.bins, theme="secret" if not f.disclosable else f.theme, disclosable=f.disclosable) for f in columns.fields
    )
    hidden = NodeColumns(fields, columns.codes, columns.raw)
    model = NodeModel.of(hidden, learner.levels_, out)
    table = score_table(model, hidden, [], LIMITS)
    named = {theme for row in table.themes for theme in row}
    assert named
    assert "secret" not in named
    assert max(len(row) for row in table.themes) <= 3
    assert table.leakage.mean > out.leakage.mean
    strict = Limits(r2_column=out.leakage.most + 1e-6, r2_mean=out.leakage.mean + 1e-6)
    bare = score_table(model, hidden, [], strict)
    assert set(bare.themes) == {()}
    assert "left out" in bare.note
    with pytest.raises(LimitRefused, match="score table"):
        score_table(model, hidden, [columns.codes[1]], LIMITS)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_banks_design_serves_cohort_and_new_rows(
    trained: tuple[Cohort, NodeColumns, Learner, Release], encoding: str
) -> None:
    made, _, _, out = trained
    own = bank_columns(made.bank, made.labels, LIMITS)
    design = Design(tuple(own), out.bands.means, encoding)  # type: ignore[arg-type]
    matrix = design.matrix(made.bank, out.codes)
    assert matrix.shape == (6_000, len(design.names))
    assert matrix[:, -1].tolist() == [out.bands.means[band] for band in out.codes]
    with pytest.raises(ValueError, match="table of this model"):
        design.matrix(made.bank, np.full(6_000, 20, np.uint8))


def test_the_card_says_what_was_given_away_and_has_canonical_bytes(
    trained: tuple[Cohort, NodeColumns, Learner, Release],
) -> None:
    from models.scorecard.learner import FieldFigure, Figures
    from models.scorecard.rounds import Plan

    made, columns, _, out = trained
    plan = Plan(columns.rows, columns.bins, 3)
    said = statement(plan, out, LIMITS, releases_counted=1)
    assert f"R² of at most {out.leakage.most:.2f}" in said.text()
    assert said.r2_most <= said.r2_most_allowed
    assert said.band_bits == pytest.approx(np.log2(len(out.bands.means)), abs=0.01)
    figures = Figures(columns.rows, tuple(FieldFigure(f.name, 0.1, 5, 1.2) for f in columns.fields), np.eye(11))
    part = NodeCard(
        model="m1",
        project="p1",
        job="j1",
        cohort_root="00" * 32,
        rows=columns.rows,
        fields=field_cards(figures, out.leakage),
        bands=len(out.bands.means),
        band_means=out.bands.means,
        budgets=(Budget(name="releases", used=1, allowed=4),),
        leakage=said,
        notes=(),
    )
    p = np.linspace(0.01, 0.9, made.labels.size)
    card = ModelCard(
        node=part, bank="bank", bank_columns=("b0",), encoding="woe", metrics=metrics(made.labels, p, p), parent=""
    )
    assert decode(card.canonical(), ModelCard) == card
    assert card.canonical() == decode(card.canonical(), ModelCard).canonical()
    assert decode(encode(said), LeakageStatement) == said
    assert card.metrics.gini == pytest.approx(2 * card.metrics.auc - 1, abs=2e-3)
