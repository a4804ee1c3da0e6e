"""A bank's private model over `SUBJECTS` rows and `FIELDS` columns: the node's night, and one officer's question.

The node's part is what a build does (`sharing_node.private_models.evaluation.Evaluate`), on a forked pool over all cores: from
bin codes to padded, flooded, switched blocks on disk; first with no column kept in NTT form, then for a second model that finds
them. Beside it: the same scores in clear by numpy, and by `phe`, scaled from `PHE_ROWS` rows. Every block's scores are
compared with numpy's. `oprf_s`, the tags that every table needs, is scaled from `TAGS` of them.

The officer's question goes through the real services, of a node with `CITY` subjects.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import resource
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from phe import paillier

from benchmarks._private_city import questions
from benchmarks.report import Metric, Result, Settings
from crypto.bfv import PRIVATE_MODEL, ModelKey, block_pads
from models.private_model import BLOCK_BYTES, BLOCK_ROWS, POSITION, FileWeights, WeightColumn, public_seed
from models.wire import Signed, encode
from sharing_node.epochs.work import Work
from sharing_node.keys import KeyStore
from sharing_node.private_models import evaluation
from sharing_node.private_models.evaluation import Evaluate

T = TypeVar("T")
KEY, NONCE = "epoch-benchmark-1", bytes(32)


def run(settings: Settings) -> Result:
    """All metrics of one run."""
    subjects, fields = settings.size("SUBJECTS", 1_000_000), settings.size("FIELDS", 20)
    tags, phe_rows = settings.size("TAGS", 10_000), settings.size("PHE_ROWS", 20)
    city, asked = settings.size("CITY", min(subjects, 20_000)), settings.size("QUESTIONS", 100)
    rng = np.random.default_rng(1)
    blocks = -(-subjects // BLOCK_ROWS)
    codes = np.zeros((fields, blocks * BLOCK_ROWS), np.uint8)
    codes[:, :subjects] = rng.integers(0, 20, (fields, subjects), dtype=np.uint8)
    weights = [int(w) for w in rng.integers(-31, 32, fields)]
    clear, plain_s = timed(lambda: np.array(weights, np.float32) @ codes.astype(np.float32))
    with tempfile.TemporaryDirectory(prefix="xinqiao-private-") as name:
        folder = Path(name)
        cold, cold_cpu = evaluate(folder, "first", codes, weights, clear)
        warm, warm_cpu = evaluate(folder, "second", codes, weights, clear)
        kept = sum(path.stat().st_size for path in (folder / "columns").iterdir())
        oprf = oprf_seconds(folder, tags) * subjects / tags
    phe_s = phe_seconds(codes[:, :phe_rows], weights) * subjects / phe_rows
    p50, p99 = questions(city, fields, asked)
    print(f"{subjects:,} rows × {fields}: {cold:.1f} s, with kept columns {warm:.1f} s, numpy {plain_s:.2f} s", file=sys.stderr)
    rate = subjects / warm
    return {
        "rows_per_s": Metric(round(rate), "1/s", round(subjects / plain_s), "numpy in clear"),
        "rows_per_s_phe": Metric(round(rate), "1/s", round(subjects / phe_s, 1), f"phe, scaled from {phe_rows} rows"),
        "rows_per_s_first_model": Metric(round(subjects / cold), "1/s"),
        "rows_per_cpu_s": Metric(round(subjects / warm_cpu), "1/s", round(subjects / cold_cpu), "with no column kept"),
        "evaluation_s": Metric(round(warm, 2), "s", round(plain_s, 3), "numpy in clear"),
        "oprf_s": Metric(round(oprf, 1), "s"),
        "bytes_per_subject": Metric(round(blocks * BLOCK_BYTES / subjects, 2), "B", 4.0, "scores in clear"),
        "kept_bytes_per_subject": Metric(round(kept / subjects, 1), "B", float(fields), "bin codes"),
        "question_p50_ms": Metric(round(p50, 1), "ms"),
        "question_p99_ms": Metric(round(p99, 1), "ms"),
    }


def evaluate(
    folder: Path, name: str, codes: NDArray[np.uint8], weights: list[int], clear: NDArray[np.float32]
) -> tuple[float, float]:
    """Seconds and processor seconds for all blocks of one model; raises RuntimeError where a score is wrong."""
    work, keys = Work(folder / name), KeyStore(folder / "keys")
    key = f"{KEY}-{name}"
    keys.new_oprf(key)
    nonce = secrets.token_bytes(32)
    columns = tuple(WeightColumn(field=j, bin=POSITION) for j in range(len(weights)))
    public = public_seed(name, columns, NONCE, nonce)
    model = ModelKey(weights, secrets.token_bytes(32), public)
    body = model.encrypt().body
    nothing = Signed(kind="", signer="", payload=b"", signature=b"")
    filed = FileWeights(model=name, nonce=nonce, columns=columns, body=body, card=nothing)
    work.write(evaluation._CODES, [codes.data])
    work.write(evaluation._MODEL, [encode(filed)])
    part = Evaluate(work.folder, keys.folder, key, NONCE, folder / "columns")
    blocks = codes.shape[1] // BLOCK_ROWS
    before = _children_cpu()
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), multiprocessing.get_context("fork")) as pool:
        _, seconds = timed(lambda: list(pool.map(part, range(blocks))))
    cpu = _children_cpu() - before
    secret = keys.derived(key, evaluation._INFO)
    for index in range(blocks):
        opened = model.open(work.path(evaluation._part(index)).read_bytes())
        scores = (opened - block_pads(secret, index)) % PRIVATE_MODEL.plain
        expected = clear[index * BLOCK_ROWS : (index + 1) * BLOCK_ROWS].astype(np.int64) % PRIVATE_MODEL.plain
        if not np.array_equal(scores, expected):
            raise RuntimeError("a score is not the one in clear")
    return seconds, cpu
    return seconds, cpu


def oprf_seconds(folder: Path, count: int) -> float:
    """F(k, id) of so many subjects on all cores."""
    server = KeyStore(folder / "keys").oprf(f"{KEY}-first")
    subjects = [hashlib.sha256(n.to_bytes(8)).digest() for n in range(count)]
    return timed(lambda: server.evaluate_many(subjects))[1]


def phe_seconds(codes: NDArray[np.uint8], weights: list[int]) -> float:
    """The same products by additively homomorphic encryption, a row at a time on one core: what `phe` is asked for."""
    public, _ = paillier.generate_paillier_keypair(n_length=3072)
    encrypted = [public.encrypt(w) for w in weights]

    def work() -> None:
        for row in codes.T.tolist():
            total = public.encrypt(secrets.randbelow(1 << 20))  # the pad
            for one, x in zip(encrypted, row, strict=True):
                total = total + one * x

    return timed(work)[1]


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What work gives, and its seconds."""
    began = time.perf_counter()
    found = work()
    return found, time.perf_counter() - began


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
