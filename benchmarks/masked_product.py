"""The masked product under LWE, under Paillier and in clear: `ROWS` rows × `COLUMNS` columns × `VECTORS` vectors, side by side.

Labels first, the other vectors weights of evidence; columns standardised. Processor seconds of both sides, key and proof
included. The moments must agree with numpy's to the noise that each backend states; the run fails otherwise.
"""

from __future__ import annotations

import secrets
import sys
import time
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import Metric, Result, Settings
from crypto import masked_product as lwe
from crypto import masked_product_paillier as paillier
from crypto.masked_product import Dense, ProductShape, VectorSpec, fixed_point

SCALE = 1 << 10
WITHIN = 6.0  # standard deviations of the stated noise


def run(settings: Settings) -> Result:
    """All metrics of one run."""
    rows, columns, vectors = settings.size("ROWS", 5_000), settings.size("COLUMNS", 10), settings.size("VECTORS", 14)
    rng = np.random.default_rng(1)
    specs = (VectorSpec(1, 1), *[VectorSpec(8, SCALE)] * (vectors - 1))
    shape = ProductShape(rows, columns, SCALE, 8 * SCALE, specs)
    alphas = np.stack([rng.integers(0, 2, rows), *(_standard(rng, rows) for _ in specs[1:])])
    data = Dense(np.stack([_standard(rng, rows) for _ in range(columns)]))
    scales = np.array([spec.scale for spec in specs])
    began = time.process_time()
    exact = (data.values.astype(np.float64) / SCALE) @ (alphas / scales[:, np.newaxis]).T
    plain = time.process_time() - began
    result: dict[str, Metric] = {}
    for name, backend in (("lwe", lwe), ("paillier", paillier)):
        found, seconds, sent = _product(backend, shape, alphas, data)
        total = sum(seconds)
        stated = np.array([_noise(name, shape, v) for v in range(vectors)])
        worst = float(np.abs((found - exact) / stated).max())
        if worst > WITHIN:
            raise RuntimeError(f"{name}: a moment is off by {worst:.1f} standard deviations of its noise")
        print(f"{name}: {total:.2f} s, worst moment {worst:.1f} standard deviations off", file=sys.stderr)
        result |= {
            f"{name}_s": Metric(round(total, 3), "s", round(plain, 5), "numpy in clear"),
            f"{name}_bank_s": Metric(round(seconds[0] + seconds[2], 3), "s"),
            f"{name}_node_s": Metric(round(seconds[1], 3), "s"),
            f"{name}_label_noise": Metric(round(float((found - exact)[:, 0].std()), 3), "rows", float(stated[0]), "stated"),
            f"{name}_sent_mb": Metric(round(sent / 1e6, 2), "MB", round(8e-6 * vectors * rows, 2), "vectors in clear"),
        }  # fmt: skip
    return result


def _product(
    backend: ModuleType, shape: ProductShape, alphas: NDArray[np.int64], data: Dense
) -> tuple[NDArray[np.float64], list[float], int]:
    """Moments, seconds of each step, bytes of both messages."""
    seeds = [secrets.token_bytes(32) for _ in range(3)]
    marks = [time.process_time()]
    bank = backend.BankProduct(shape, seeds[0], alphas, seeds[1])
    request: tuple[NDArray[Any], NDArray[Any]] = bank.encrypt()
    marks.append(time.process_time())
    node = backend.NodeProduct(shape, seeds[0], data, seeds[2])
    reply: tuple[NDArray[Any], NDArray[Any]] = node.respond(*request)
    marks.append(time.process_time())
    found: NDArray[np.float64] = node.recover(bank.answer(*reply))
    marks.append(time.process_time())
    return found, np.diff(marks).tolist(), sum(part.nbytes for part in (*request, *reply))


def _noise(name: str, shape: ProductShape, v: int) -> float:
    if name == "lwe":
        return shape.predicted_noise(v)
    return paillier.answer_sd(shape, v) / (shape.column_scale * shape.vectors[v].scale)


def _standard(rng: np.random.Generator, rows: int) -> NDArray[np.int64]:
    return fixed_point(rng.standard_normal(rows), SCALE, 8 * SCALE)
