"""A bank's private model from its columns to an officer's score, over a running office and node."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from sqlalchemy import select

from audit.office.reconcile import reconcile, yesterday
from audit.office.store import private_models, reconciliations
from audit.office.tables import model as office_model
from bank_client.demo.town import free_port
from bank_client.desk.app import create_app
from bank_client.desk.settings import DeskConfig, DeskPerson, DeskProject
from bank_client.private_model import PrivateModel
from bank_client.private_query import PrivateQuery
from crypto.bfv import EncryptedModel, ModelKey
from crypto.errors import InvalidProof
from models import protected_keys
from models.consents import ConsentKind
from models.private_model import BLOCK_ROWS, POSITION, PrivateOpening, WeightColumn
from models.problems import Conflict, Damaged, Forbidden, NotApproved, ReleaseRefused, Unusable
from models.projects import ProjectKind
from models.reconciliation import WHOLE
from models.registry import ModelDecision
from models.scorecard.binning import NumericBins, bins_from_definition
from models.tables import ModelStatus
from models.wire import encode
from models.wire import replace as wire_replace
from sharing_node.private_models import repository
from tests.desk.place import PASSPHRASE
from tests.desk.place import Branch as DeskBranch
from tests.desk.visitor import Visitor
from tests.noon import noon_zone
from tests.office.world import Clock, serving
from tests.services import FIELDS, MODELLER, OFFICER, Services, services

ROWS, PUBLIC = 1_200, bytes(32)
PACKED = dict.fromkeys(FIELDS, 1) | {"f2": 31}
WEIGHTS = dict.fromkeys(FIELDS, 2) | {"f0": 4, "f1": -3}
PEOPLE = [f"s{n:05}" for n in range(ROWS)]


@dataclass
class Village:
    services: Services
    rows: dict[str, dict[str, float]]
    model: PrivateModel
    table: str

    def exact(self, subject: str) -> int:
        """The score in clear, from the bins that the bank was told."""
        total = 0
        for entry in self.model.fields_:
            bins = bins_from_definition(entry.bins)
            assert isinstance(bins, NumericBins)
            code = int(bins.apply([self.rows[subject][entry.name]])[0])
            total += WEIGHTS[entry.name] * (code if code < entry.ordered else 0)
        return total


@pytest.fixture(scope="module")
def village(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Village]:
    rng = np.random.default_rng(5)
    values = np.round(rng.normal(size=(ROWS, len(FIELDS))) + 0.4 * rng.normal(size=(ROWS, 1)), 2)
    rows = {s: dict(zip(FIELDS, row.tolist(), strict=True)) for s, row in zip(PEOPLE, values, strict=True)}
    office = {"time_zone": noon_zone(), "reconcile_at": "23:59"}  # of one day, which no other run reconciles
    with services(tmp_path_factory.mktemp("private"), office_settings=office) as running:
        running.load([(s, rows[s]) for s in PEOPLE])
        running.willing([f"opaque:{s}" for s in PEOPLE], ConsentKind.COLLECTION)
        asked = PEOPLE[:6]
        running.office.file(*(running.office.consent(f"opaque:{s}", ConsentKind.QUERY, recipient="bank-a") for s in asked))
        running.open_project("joint", kind=ProjectKind.JOINT_SCORECARD, purpose="modelling")
        model = PrivateModel.open(running.bank(MODELLER), "joint")
        model.register(WEIGHTS)
        with pytest.raises(NotApproved):
            model.serve()
        approve(running, model)
        table = model.serve()
        running.build(table)
        yield Village(running, rows, model, table)


def opened(village: Village) -> PrivateModel:
    return PrivateModel.open(village.services.bank(MODELLER), "joint")


def approve(running: Services, model: PrivateModel) -> None:
    decision = ModelDecision(subject=model.model_id_, approve=True, reason="checked")
    running.office.clerk.logged(f"/models/{model.model_id_}/decision", decision, ModelStatus)


def test_a_modeller_scores_a_village_in_one_pass(village: Village) -> None:
    scores = village.model.score(PEOPLE[:4])
    exact = np.array([village.exact(s) for s in PEOPLE[:4]])
    spread = [village.exact(s) for s in PEOPLE]
    half = (np.quantile(spread, 0.99) - np.quantile(spread, 0.01)) / 40 + 1
    assert np.abs(scores.to_numpy() - exact).max() <= half


def test_an_officer_asks_with_the_model_s_file_and_gets_the_same_noise(village: Village, tmp_path: Path) -> None:
    village.model.save(tmp_path / "model")
    assert (tmp_path / "model").stat().st_mode & 0o777 == 0o600
    officer = PrivateModel.load(tmp_path / "model", village.services.bank(OFFICER))
    first = officer.ask(PEOPLE[0])
    assert first.score == village.model.score([PEOPLE[0]]).iloc[0]
    assert abs(first.score - village.exact(PEOPLE[0])) < 20
    village.services.build(village.table)
    assert officer.ask(PEOPLE[0]).score == first.score


def test_whoever_gave_no_consent_is_not_scored(village: Village) -> None:
    scores = village.model.score([PEOPLE[5], PEOPLE[50]])
    assert not np.isnan(scores.iloc[0])
    assert np.isnan(scores.iloc[1])


def test_the_day_s_scores_are_reconciled(village: Village) -> None:
    """Tickets of a private model are matched like any other: with their evaluations, and with their leaves in both logs."""
    world, log = village.services.office, village.services.app.state.node.log
    log.wait_cosigned(village.services.logged() - 1, 20.0)
    world.clock.shift += 86_400
    try:
        run = reconcile(world.office, yesterday(world.office))
    finally:
        world.clock.shift -= 86_400
    with world.office.engine.connect() as connection:
        last = reconciliations.last_run(connection, run.day)
        assert last is not None
        counted = [one for one in reconciliations.tables_of(connection, last[0]) if one.table == village.table]
    assert run.state == WHOLE
    assert sum(one.tickets for one in counted) > 4
    assert all(one.tickets == one.leaves == one.evaluations for one in counted)


# ------------------------------------------------------------------ what is refused


@pytest.mark.attack
def test_packed_weights_are_refused_by_the_office(village: Village) -> None:
    with pytest.raises(Unusable, match="variance of a column of f2"):
        opened(village).register(PACKED)


@pytest.mark.attack
@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (dict.fromkeys(FIELDS[:7], 2), "7 fields are in effect"),
        (dict.fromkeys(FIELDS, 2) | {"f0": 32}, "6 bits"),
        (dict.fromkeys(FIELDS, 0), "0 fields"),
        ({**WEIGHTS, "f9": 1}, "no field f9"),
        ({**WEIGHTS, "f0": [1, 2]}, "a weight for each"),
    ],
)
def test_weights_that_are_no_model_are_refused(village: Village, weights: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        opened(village).register(weights)


@pytest.mark.attack
def test_the_office_checks_what_a_dishonest_client_does_not(village: Village, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bank_client.private_model.check_weights", lambda *_: None)
    with pytest.raises(Unusable, match="7 fields are in effect"):
        opened(village).register(dict.fromkeys(FIELDS[:7], 2))


@pytest.mark.attack
def test_an_encryption_with_other_noise_is_refused(village: Village, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = ModelKey.encrypt

    def malformed(key: ModelKey) -> EncryptedModel:
        made = honest(key)
        words = np.frombuffer(made.body, "<u8").copy()
        words[2 * BLOCK_ROWS] ^= np.uint64(1 << 30)  # noise of the first weight
        return EncryptedModel(made.public_seed, words.tobytes())

    model = opened(village)
    monkeypatch.setattr(ModelKey, "encrypt", malformed)
    with monkeypatch.context() as office:
        office.setattr("crypto.bfv.bank.ModelKey.encrypt", malformed)
        monkeypatch.setattr("crypto.bfv.verify_opening", remade(honest))
        with pytest.raises(Unusable, match="not what these weights and this seed make"):
            model.register(WEIGHTS)


def remade(honest: Callable[[ModelKey], EncryptedModel]) -> Callable[..., None]:
    """The office's check in the same process, with the honest client's encryption."""

    def check(weights: Sequence[int], seed: bytes, public: bytes, digest: bytes) -> None:
        if honest(ModelKey(weights, seed, public)).digest() != digest:
            raise InvalidProof("the encrypted model is not what these weights and this seed make: encrypt the model again")

    return check


@pytest.mark.attack
def test_weights_that_the_office_saw_weigh_no_other_columns(village: Village, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node is told to weigh the bins of one field, the office that these weights are of eight fields' positions."""
    model = opened(village)
    alone = {"f0": [3] * model.fields_[0].count}  # as positions of eight fields, nothing that would be refused
    shown = tuple(WeightColumn(field=i % len(FIELDS), bin=POSITION if i < len(FIELDS) else i // len(FIELDS)) for i in range(99))
    honest = PrivateOpening

    def opening(**said: Any) -> PrivateOpening:
        return honest(**said | {"columns": shown[: len(said["weights"])]})

    monkeypatch.setattr("bank_client.private_model.check_weights", lambda *_: None)
    monkeypatch.setattr("bank_client.private_model.PrivateOpening", opening)
    with pytest.raises(Unusable, match="not what these weights and this seed make"):
        model.register(alone)


def test_residues_that_are_not_reduced_never_reach_an_evaluation(village: Village, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = ModelKey.encrypt
    monkeypatch.setattr(ModelKey, "encrypt", lambda key: EncryptedModel(PUBLIC, b"\xff" * len(honest(key).body)))
    with pytest.raises(Unusable):
        opened(village).register(WEIGHTS)


def test_a_model_has_one_set_of_weights(village: Village) -> None:
    with pytest.raises(ValueError, match="has its weights"):
        village.model.register(WEIGHTS)
    second = opened(village).register(WEIGHTS)
    forgotten = PrivateModel(village.services.bank(MODELLER), msgspec.structs.replace(second._kept, weights=(), columns=()))
    with pytest.raises(Conflict, match="its weights already"):
        forgotten.register(dict.fromkeys(FIELDS, 1))


def test_private_models_count_as_releases_of_everybody(village: Village) -> None:
    for _ in range(3):
        model = opened(village).register(WEIGHTS)
        approve(village.services, model)
        model.serve()
    with pytest.raises(ReleaseRefused, match="4 releases"):
        opened(village)


def test_no_weight_and_no_seed_stands_at_the_node_or_in_any_leaf(village: Village) -> None:
    kept = village.model._kept
    assert "redacted" in repr(village.model)
    with village.services.engine.connect() as connection:
        stored = repository.get(connection, village.model.model_id_)
    assert stored.filed is not None
    assert kept.seed not in encode(stored.filed)
    for leaf in village.services.leaves():
        assert not {"weights_opened", "seed"} & set(leaf)
    entry = village.services.office.office.engine
    with entry.connect() as connection:
        documents = connection.execute(select(office_model.c.document)).scalars().all()
        told = private_models.get(connection, village.model.model_id_)
    assert told is not None
    assert told.opened is not None
    assert all(kept.seed not in bytes(document) for document in documents)


def test_whoever_is_not_a_modeller_of_this_bank_registers_nothing(village: Village) -> None:
    with pytest.raises(Forbidden):
        PrivateModel.open(village.services.bank(OFFICER), "joint")


def test_scores_that_are_not_the_manifest_s_are_reported(village: Village, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = village.model._blocks
    epoch = PrivateQuery(village.services.bank(MODELLER), "joint", village.table).present().manifest
    monkeypatch.setattr(blocks, "_folder", blocks._folder.parent / "elsewhere")
    with pytest.raises(Damaged, match="padded scores"):
        blocks.fetch(wire_replace(epoch, scores_digest=bytes(32)))


# ------------------------------------------------------------------ the officer's desk


def test_the_desk_shows_an_applicant_s_score(village: Village, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protected_keys, "SCRYPT_N", 1 << 10)
    monkeypatch.setattr(protected_keys, "SCRYPT_P", 1)
    key_file, model_file, port = tmp_path / "li.pem", tmp_path / "own.model", free_port()
    protected_keys.protect(village.services.office.keys[OFFICER], key_file, PASSPHRASE)
    village.model.save(model_file)
    of_bank = village.services.bank(OFFICER).config
    config = DeskConfig(
        institution="bank-a",
        office=of_bank.office,
        node=of_bank.node,
        people=(DeskPerson(id=OFFICER, name="li", key_file=key_file),),
        projects=(DeskProject(id="joint", label_zh="行内评分", label_en="Own score", model=model_file),),
        identity="opaque",
        data_dir=tmp_path / "desk",
        port=port,
    )
    app = create_app(config, Clock())
    with serving(app, port):
        visitor = Visitor(DeskBranch(f"http://127.0.0.1:{port}", config, app, Clock())).sign_in(OFFICER)
        visitor.ask(visitor.begin(PEOPLE[1]))
    assert f"评分 {village.model.score([PEOPLE[1]]).iloc[0]:.0f} 分" in visitor.text
    assert "行内评分卡" in visitor.text
