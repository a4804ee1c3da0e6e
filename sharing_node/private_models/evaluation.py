"""An epoch of a private model: all rows under BFV, in parts on all cores, and the records of the cells that open them.

Everything that is drawn is a function of a key that is gone with the epoch's own, so that a build which is taken up again
makes the same bytes: a block has one flooding, however often a process was killed in between. A score's noise, half a band
either way, is a function of the model and of the subject's own columns, so that no epoch shows it anew.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from audit.database import writing
from models.private_model import BLOCK_ROWS, FileWeights, PrivateCell, public_seed
from models.problems import NotApproved
from models.wire import decode, encode
from sharing_node.epochs.store import SCORES
from sharing_node.epochs.work import Work
from sharing_node.epochs.workers import Workers
from sharing_node.keys import KeyStore
from sharing_node.node import Node
from sharing_node.private_models import repository
from sharing_node.private_models.columns import column_codes
from sharing_node.private_models.kept import KeptColumns
from sharing_node.scores import served_columns

_CODES, _MODEL = "private-codes", "private-model"
_INFO = b"xinqiao/private-model/epoch"


def private_records(node: Node, model_id: str, work: Work, key: str, workers: Workers) -> Iterator[tuple[str, bytes]]:
    """(id, record) of everybody whom the model serves, in strict order of ids; writes the blocks of scores before the first.

    `key` names the epoch's OPRF key.
    """
    with node.engine.connect() as connection:
        model = repository.get(connection, model_id)
        if model.filed is None or model.approval is None:
            raise NotApproved("this private model has no weights or no approval yet; file and serve it first")
        served = served_columns(node, connection, model.fields)
    with writing(node.engine) as connection:
        place = repository.places(connection, served.subjects)
    places = np.array([place[subject] for subject in served.subjects], dtype=np.int64)
    blocks = int(places.max()) // BLOCK_ROWS + 1
    mine = column_codes(model.filed.columns, model.stated.fields, served.columns.codes)
    if not work.has(SCORES):
        codes = np.zeros((mine.shape[0], blocks * BLOCK_ROWS), np.uint8)
        codes[:, places] = mine
        work.write(_CODES, [codes.data])
        work.write(_MODEL, [encode(model.filed)])
        part = Evaluate(work.folder, node.keys.folder, key, model.stated.nonce, node.folder / "columns")
        for _ in workers.each(part, range(blocks)):
            pass
        work.write(SCORES, (work.path(_part(index)).read_bytes() for index in range(blocks)))
        work.remove([_CODES, _MODEL, *map(_part, range(blocks))])
        KeptColumns(node.folder / "columns").prune()
    yield from _cells(node, model_id, model.approval.band_width, served.subjects, places, mine, node.keys.derived(key, _INFO))


def _cells(
    node: Node,
    model_id: str,
    band_width: int,
    subjects: list[str],
    places: NDArray[np.int64],
    codes: NDArray[np.uint8],
    key: bytes,
) -> Iterator[tuple[str, bytes]]:
    from crypto.bfv import PRIVATE_MODEL, block_pads

    pads = {int(index): block_pads(key, int(index)) for index in np.unique(places // BLOCK_ROWS)}
    secret, half = node.keys.secret("private-model-noise"), band_width // 2
    rows = np.ascontiguousarray(codes.T)
    for subject, place, row in zip(subjects, places.tolist(), rows, strict=True):
        block, offset = divmod(place, BLOCK_ROWS)
        drawn = hmac.digest(secret, b"\0".join([model_id.encode(), subject.encode(), row.tobytes()]), "sha256")
        noise = int.from_bytes(drawn[:16]) % (2 * half + 1) - half
        pad = (int(pads[block][offset]) - noise) % PRIVATE_MODEL.plain
        yield subject, msgspec.json.encode(PrivateCell(block=block, row=offset, pad=pad))


@dataclass(frozen=True)
class Evaluate:
    """One block of scores, as a part of work; holds paths and names, no secret."""

    folder: Path
    keys: Path
    key: str
    nonce: bytes
    kept: Path

    def __call__(self, index: int) -> int:
        """Write a block, unless it is there."""
        work = Work(self.folder)
        if not work.has(_part(index)):
            filed, evaluation = _loaded(self)
            codes = np.memmap(work.path(_CODES), np.uint8, "r").reshape(len(filed.columns), -1)
            kept = KeptColumns(self.kept)
            block = codes[:, index * BLOCK_ROWS : (index + 1) * BLOCK_ROWS]
            columns = [kept.column(np.ascontiguousarray(column)) for column in block]
            work.write(_part(index), [evaluation.block(index, columns).sealed])
        return index


@lru_cache(maxsize=2)
def _loaded(part: Evaluate):  # type: ignore[no-untyped-def]  # SEAL is loaded where a private model is evaluated
    from crypto.bfv import EncryptedModel, ModelEvaluation

    filed = decode(Work(part.folder).path(_MODEL).read_bytes(), FileWeights)
    encrypted = EncryptedModel(public_seed(filed.model, filed.columns, part.nonce, filed.nonce), filed.body)
    return filed, ModelEvaluation(encrypted, KeyStore(part.keys).derived(part.key, _INFO))


def _part(index: int) -> str:
    return f"scores-{index:05}"
