"""The synthetic county: same seed same bytes, valid numbers, the catalogue's words, a known truth behind the outcomes."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from typer.testing import CliRunner

from models.catalogue import SUBJECT_TYPES, Field, default_catalogue
from models.cli import build
from models.county import SYNTHETIC, generate_county
from models.county.command import register
from models.county.loans import EFFECTS
from models.county.writing import ENCODINGS
from models.identity import IdentityError, canonical_id
from models.supervision.credit import check_report, read_lines
from models.supervision.messages import CreditReport
from tests.conftest import ROOT
from tests.models.county_files import County, Row

SEED = 7
IDENTITY = ("citizen_id_no", "uscc")
BANK_FIELDS = [effect.field for effect in EFFECTS if effect.side == "bank"]
NODE_FIELDS = [effect.field for effect in EFFECTS if effect.side == "node"]


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> County:
    folder = tmp_path_factory.mktemp("county")
    return County(folder, generate_county(folder, SEED))


def problem(field: Field, text: str) -> str | None:
    """What is wrong with a cell: a slow, plain reading of the catalogue."""
    if not text:
        return None
    if field.kind == "enum":
        return None if text in field.enum_values else "unknown_word"
    if field.kind == "bool":
        return None if text in ("是", "否") else "unknown_word"
    if field.kind == "date":
        try:
            seen = date.fromisoformat(text).isoformat()
        except ValueError:
            return "date_does_not_exist"
        return None if (field.minimum or "") <= seen <= (field.maximum or "9") else "out_of_range"
    if field.kind in ("int", "decimal"):
        try:
            value = float(text)
        except ValueError:
            return "not_a_number"
        if field.kind == "int" and not value.is_integer():
            return "not_an_integer"
        return None if float(field.minimum or "-inf") <= value <= float(field.maximum or "inf") else "out_of_range"
    fits = len(text) == field.exact_length if field.exact_length else len(text) <= field.maximum_length
    return None if fits else "wrong_length"


def wrong_number(row: Row) -> bool:
    try:
        canonical_id("citizen", row["citizen_id_no"]) if row["citizen_id_no"] else canonical_id("organisation", row["uscc"])
    except IdentityError:
        return True
    return False


def wrong_cells(row: Row) -> list[tuple[str, str]]:
    catalogue = default_catalogue()
    found = [(name, problem(catalogue[name], text)) for name, text in row.items() if name not in IDENTITY]
    return [(name, fault) for name, fault in found if fault]


def test_the_county_has_the_promised_size(county: County) -> None:
    kinds = [row["subject_type"] for row in county.node["basic"]]
    assert kinds.count("农户") == county.summary.households == 20_000
    assert kinds.count("村集体") == county.summary.villages == 125
    assert len(kinds) - kinds.count("农户") - kinds.count("村集体") == county.summary.organisations == 600
    assert {SUBJECT_TYPES[letter] for letter in "HFCESIGV"} == set(kinds)
    assert len(county.node["village"]) == county.summary.villages == 125
    for name, rows in county.summary.files.items():
        assert len(county.read(name, ENCODINGS.get(Path(name).stem, "utf-8"))) == rows
    on_disk = {str(p.relative_to(county.folder)) for p in county.folder.rglob("*.csv")}
    assert on_disk == set(county.summary.files)


def test_everything_says_that_it_is_synthetic(county: County) -> None:
    assert "合成数据" in (county.folder / "README.txt").read_text("utf-8")
    assert county.summary.synthetic == SYNTHETIC == json.loads((county.folder / "summary.json").read_text("utf-8"))["synthetic"]
    assert json.loads((county.folder / "truth/model.json").read_text("utf-8"))["synthetic"] is True


def test_encodings_differ_as_departments_differ(county: County) -> None:
    assert (county.folder / "node/basic.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    assert not (county.folder / "node/credit.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    with pytest.raises(UnicodeDecodeError):
        (county.folder / "node/land.csv").read_bytes().decode("utf-8")


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    def digests(name: str, seed: int) -> dict[str, str]:
        folder = tmp_path / name
        generate_county(folder, seed, households=1500, organisations=60, loans=300)
        files = sorted(p for p in folder.rglob("*") if p.is_file())
        return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

    first, again, other = digests("a", 1), digests("b", 1), digests("c", 2)
    assert first == again
    constant = {"README.txt", "office/institutions.csv", "office/people.csv"}
    assert {name for name in first if first[name] == other[name]} == constant


def test_rows_outside_the_list_are_valid_and_unique(county: County) -> None:
    for category, rows in county.good.items():
        assert not [wrong for row in rows for wrong in wrong_cells(row)], category
        assert not any(wrong_number(row) for row in rows), category
        numbers = [row["citizen_id_no"] or row["uscc"] for row in rows]
        assert len(set(numbers)) == len(numbers), category
        assert all(bool(row["citizen_id_no"]) != bool(row["uscc"]) for row in rows), category


def test_fields_belong_to_their_subjects(county: County) -> None:
    letters = {label: letter for letter, label in SUBJECT_TYPES.items()}
    for category, rows in county.good.items():
        fields = default_catalogue().field_set(category).fields
        filled = {(row["subject_type"], field.name) for row in rows for field in fields if row[field.name]}
        for label, name in filled:
            assert letters[label] in default_catalogue()[name].subject_types, (label, name)
        # Every field of the catalogue that is no key is there for somebody.
        assert {name for _, name in filled} == {field.name for field in fields}


def test_the_list_of_faults_is_the_faults_that_are_there(county: County) -> None:
    conflicts: dict[tuple[str, str], list[str]] = {}
    for defect in county.defects:
        category = Path(defect["file"]).stem
        row = county.node[category][int(defect["line"]) - 2]
        if defect["expect"] == "conflict":
            conflicts.setdefault((category, row["citizen_id_no"]), []).append(row[defect["field"]])
            assert not wrong_number(row)
            assert not wrong_cells(row)
        elif defect["field"] in IDENTITY:
            assert wrong_number(row)
            assert not wrong_cells(row)
        else:
            assert not wrong_number(row)
            assert wrong_cells(row) == [(defect["field"], defect["kind"])]
    assert all(len(values) == 2 and values[0] != values[1] for values in conflicts.values())
    assert county.summary.quarantined_rows == 21
    assert county.summary.conflicting_rows == 2 * len(conflicts) == 6


def test_planted_faults_touch_nobody_whom_the_bank_knows(county: County) -> None:
    known = {row["citizen_id_no"] for name in ("customers", "applicants") for row in county.read(f"bank/{name}.csv")}
    for defect in county.defects:
        if defect["expect"] == "conflict":
            assert county.node[Path(defect["file"]).stem][int(defect["line"]) - 2]["citizen_id_no"] not in known
    assert known - {row["citizen_id_no"] for row in county.good["basic"]} == {n for n in known if not n.startswith("532300")}


def test_columns_correlate_as_a_county_does(county: County) -> None:
    people = county.households()

    def correlation(one: str, other: str) -> float:
        pairs = np.array([(p[one], p[other]) for p in people.values() if one in p and other in p])
        return float(spearmanr(pairs[:, 0], pairs[:, 1]).statistic)

    assert correlation("contracted_land_area", "fertility_subsidy_y") > 0.8
    assert correlation("contracted_land_area", "insured_area") > 0.6
    assert correlation("contracted_land_area", "input_purchase_12m") > 0.4
    assert correlation("household_size", "power_usage_12m") > 0.2
    assert correlation("household_size", "contracted_land_area") > 0.2
    assert correlation("annual_operating_income", "power_usage_12m") > 0.1
    assert correlation("credit_points", "governance_points") > 0.35
    assert correlation("credit_points", "utility_overdue_days_12m") < -0.15
    assert correlation("credit_points", "commitment_breach_count") < -0.15
    assert correlation("claim_count_36m", "litigation_count_36m") > 0.03


def test_values_are_missing_where_they_are_in_life(county: County) -> None:
    people = county.households()
    insured = np.mean(["insured_area" in p for p in people.values()])
    power = np.mean(["power_usage_12m" in p for p in people.values()])
    assert 0.55 < insured < 0.75
    assert 0.90 < power < 0.97
    areas = np.array([p["contracted_land_area"] for p in people.values() if "contracted_land_area" in p])
    assert 3.5 < np.median(areas) < 5.5


def features(county: County, rows: list[Row], fields: list[str]) -> np.ndarray:
    people = county.households()
    sides = [{**people.get(r["citizen_id_no"], {}), **{f: float(r[f]) for f in BANK_FIELDS if r[f]}} for r in rows]
    return np.array([[side.get(field, np.nan) for field in fields] for side in sides])


def true_probability(county: County, rows: list[Row]) -> np.ndarray:
    """The documented model, evaluated on nothing but the written files."""
    model = json.loads((county.folder / "truth/model.json").read_text("utf-8"))
    logit = np.full(len(rows), model["intercept"])
    values = features(county, rows, [effect["field"] for effect in model["effects"]])
    for x, effect in zip(values.T, model["effects"], strict=True):
        seen = np.log1p(x) if effect["transform"] == "log1p" else x
        z = np.clip((seen - effect["centre"]) / effect["scale"], -3, 3)
        logit += effect["coefficient"] * np.nan_to_num(z)
    return 1 / (1 + np.exp(-logit))


def test_the_documented_model_is_the_one_behind_the_outcomes(county: County) -> None:
    applicants, truth = county.read("bank/applicants.csv"), county.read("truth/applicant_outcomes.csv")
    assert [r["application_id"] for r in applicants] == [r["application_id"] for r in truth]
    expected = np.array([float(r["probability"]) for r in truth])
    np.testing.assert_allclose(true_probability(county, applicants), expected, atol=1e-6)

    loans = county.read("bank/loans.csv")
    bad = np.array([int(r["default_12m"]) for r in loans])
    chance = true_probability(county, county.read("bank/customers.csv"))
    assert abs(chance.mean() - 0.11) < 0.0005
    assert abs(bad.sum() - chance.sum()) < 5 * np.sqrt((chance * (1 - chance)).sum())
    assert 0.10 < bad.mean() < 0.12
    assert county.summary.default_rate == round(float(bad.mean()), 4)
    assert 0.78 < roc_auc_score(bad, chance) < 0.84


def woe_codes(train: np.ndarray, other: np.ndarray, bad: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Five quantile bins and one for missing: WOE of both arrays and the information value."""
    edges = np.unique(np.nanquantile(train, [0.2, 0.4, 0.6, 0.8]))
    bins = [np.where(np.isnan(x), len(edges) + 1, np.searchsorted(edges, x)) for x in (train, other)]
    counts = [np.bincount(bins[0][bad == label], minlength=len(edges) + 2) + 0.5 for label in (0, 1)]
    good_share, bad_share = (c / c.sum() for c in counts)
    woe = np.log(bad_share / good_share)
    return woe[bins[0]], woe[bins[1]], float(((bad_share - good_share) * woe).sum())


def scorecard_auc(x: np.ndarray, bad: np.ndarray) -> float:
    """Cross-validated AUC of a logistic regression on WOE codes."""
    scores = np.zeros(len(bad))
    for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(x, bad):
        codes = [woe_codes(column[train], column[test], bad[train]) for column in x.T]
        model = LogisticRegression(max_iter=500).fit(np.array([c[0] for c in codes]).T, bad[train])
        scores[test] = model.decision_function(np.array([c[1] for c in codes]).T)
    return float(roc_auc_score(bad, scores))


def test_both_sides_together_score_better_than_the_bank_alone(county: County) -> None:
    customers, loans = county.read("bank/customers.csv"), county.read("bank/loans.csv")
    assert [r["citizen_id_no"] for r in customers] == [r["citizen_id_no"] for r in loans]
    bad = np.array([int(r["default_12m"]) for r in loans])
    bank, node = features(county, customers, BANK_FIELDS), features(county, customers, NODE_FIELDS)
    alone, together = scorecard_auc(bank, bad), scorecard_auc(np.hstack([bank, node]), bad)
    assert 0.66 < alone < 0.74
    assert 0.75 < together < 0.82
    assert together - alone > 0.05

    values = [woe_codes(column, column, bad)[2] for column in node.T]
    assert max(values) < 0.35
    assert sum(value >= 0.02 for value in values) >= 12


def test_the_true_model_uses_no_field_that_is_never_shared() -> None:
    catalogue = default_catalogue()
    fields = [catalogue[name] for name in NODE_FIELDS]
    assert all(field.mode != "N" and "H" in field.subject_types for field in fields)
    assert sum(field.mode in ("A", "J") for field in fields) >= 12


def test_the_documentation_lists_the_true_model() -> None:
    page = (ROOT / "docs" / "synthetic-county.md").read_text("utf-8")
    for effect in EFFECTS:
        transform = "x" if effect.transform == "identity" else "log(1 + x)"
        row = f"| {transform} | {effect.centre:g} | {effect.scale:g} | {effect.coefficient:+.2f} |"
        assert any(
            line.startswith(f"| {effect.side} | `{effect.field}` |") and line.endswith(row) for line in page.splitlines()
        )


def test_borrowers_and_applicants_are_different_people(county: County) -> None:
    borrowers = {r["citizen_id_no"] for r in county.read("bank/customers.csv")}
    applicants = {r["citizen_id_no"] for r in county.read("bank/applicants.csv")}
    known = {r["citizen_id_no"] for r in county.good["basic"]}
    assert (len(borrowers), len(applicants)) == (6000, 1000)
    assert not borrowers & applicants
    assert applicants <= known
    assert len(borrowers - known) == 120
    assert "default_12m" not in county.read("bank/applicants.csv")[0]


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept", "utf-8")
    with pytest.raises(FileExistsError, match="not empty"):
        generate_county(tmp_path, 1, households=1500, organisations=60, loans=300)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_sizes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="households of age"):
        generate_county(tmp_path / "a", 1, households=1000, organisations=60, loans=1000)
    with pytest.raises(ValueError, match="at least"):
        generate_county(tmp_path / "b", 1, households=1000, organisations=1, loans=300)


def test_the_command_writes_a_county_and_explains_a_refusal(tmp_path: Path) -> None:
    app = build([])
    register(app)
    sizes = ["--seed", "3", "--households", "1500", "--organisations", "60", "--loans", "300"]
    done = CliRunner().invoke(app, ["synth", "--out", str(tmp_path / "county"), *sizes])
    assert done.exit_code == 0, done.output
    assert "合成数据" in done.output
    (tmp_path / "busy").mkdir()
    (tmp_path / "busy" / "mine.txt").write_text("kept", "utf-8")
    refused = CliRunner().invoke(app, ["synth", "--out", str(tmp_path / "busy"), *sizes])
    assert refused.exit_code == 2
    assert "new folder" in refused.output


def test_villages_lie_in_townships_and_the_bank_reports_by_them(county: County) -> None:
    reported = county.read("bank/agricultural_credit.csv")
    lines = read_lines((county.folder / "bank/agricultural_credit.csv").read_bytes())
    check_report(CreditReport(bank="b", period="2026Q2", lines=lines), None)
    townships = {row["division_code"][:9] for row in county.node["basic"] if row["subject_type"] == "村集体"}
    assert len(townships) == 13
    assert {row["area"] for row in reported} == townships
    local = [row for row in county.read("bank/loans.csv") if row["citizen_id_no"].startswith("532300")]
    assert sum(line.loans for line in lines) == sum(float(row["amount"]) for row in local)
    assert sum(line.borrowers for line in lines) == len(local)
