"""default_credit through the whole service, beside the central pipeline and beside the same product under Paillier.

The joint run is `xinqiao demo --bank-csv … --node-csv …`: separate processes, real HTTP, the office's replay included. The
central pipeline pools all columns in one place: the same bins and WOE, and scikit-learn's logistic regression. Paillier
(`phe`, 3072 bit) multiplies 14 encrypted vectors with 10 columns on `PHE_ROWS` rows; its time is scaled to all rows, since
the whole would take hours.
"""

from __future__ import annotations

import functools
import operator
import os
import secrets
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from bank_client.demo.csv_job import CsvJob, run_csv_job
from benchmarks.report import Metric, Result, Settings
from crypto.masked_product import BankProduct, Dense, NodeProduct, ProductShape, VectorSpec
from models.scorecard import metrics
from models.scorecard.bank import bank_columns
from models.scorecard.design import Design
from models.scorecard.limits import Limits

SHARED = Path(os.environ.get("XINQIAO_SHARED", Path(__file__).resolve().parent.parent.parent / "shared"))
FOLDER = SHARED / "data" / "default_credit"
VECTORS, COLUMNS = 14, 10


def run(settings: Settings) -> Result:
    """All metrics of one run."""
    train_rows = settings.size("TRAIN_ROWS", 24_000)
    phe_rows = settings.size("PHE_ROWS", 20)
    bank_csv, node_csv = FOLDER / "default_credit_hetero_guest.csv", FOLDER / "default_credit_hetero_host.csv"
    if not bank_csv.exists():
        raise SystemExit("the data set default_credit is not here; set XINQIAO_SHARED to the folder that holds data/")
    with tempfile.TemporaryDirectory() as folder:
        joint = run_csv_job(
            CsvJob(bank_csv=(bank_csv,), node_csv=node_csv, id="id", label="y", train_rows=train_rows), Path(folder)
        )
    central_auc, central_s = central(bank_csv, node_csv, train_rows)
    product_s = masked_product_seconds(train_rows)
    phe_s = paillier_seconds(phe_rows) * train_rows / phe_rows
    return {
        "joint_auc": Metric(joint["auc_joint"], "AUC", central_auc, "central WOE-LR"),
        "alone_auc": Metric(joint["auc_alone"], "AUC", central_auc, "central WOE-LR"),
        "central_auc": Metric(central_auc, "AUC"),
        "fit_s": Metric(joint["fit_s"], "s", central_s, "central fit"),
        "product_s": Metric(product_s, "s", phe_s, f"phe 3072, scaled from {phe_rows} rows"),
        "bytes_up_mb": Metric(joint["bytes_up"] / 1e6, "MB"),
        "bytes_down_mb": Metric(joint["bytes_down"] / 1e6, "MB"),
    }


def central(bank_csv: Path, node_csv: Path, train_rows: int) -> tuple[float, float]:
    """Test AUC and fitting seconds of the same bins, WOE and logistic regression with all columns in one place."""
    joined = pd.read_csv(bank_csv).merge(pd.read_csv(node_csv), on="id", suffixes=("_bank", "_node")).sort_values("id")
    names = [name for name in joined if name not in {"id", "y"}]
    train, test = joined[:train_rows], joined[train_rows:]
    started = time.perf_counter()
    own = bank_columns({n: train[n].to_numpy(np.float64) for n in names}, train.y.to_numpy(np.uint8), Limits())
    design = Design(tuple(own), (0.0,))
    model = LogisticRegression(max_iter=1000).fit(_matrix(design, train, names), train.y)
    seconds = time.perf_counter() - started
    return metrics.auc(test.y.to_numpy(), model.predict_proba(_matrix(design, test, names))[:, 1]), seconds


def _matrix(design: Design, frame: pd.DataFrame, names: list[str]) -> NDArray[np.float64]:
    values = {name: frame[name].to_numpy(np.float64) for name in names}
    return design.matrix(values, np.zeros(len(frame), dtype=np.uint8))[:, :-1]


def masked_product_seconds(rows: int) -> float:
    """Both sides' seconds for 14 vectors against 10 columns, after compilation."""
    random = np.random.default_rng(1)
    shape = ProductShape(rows, COLUMNS, 1 << 10, 8 << 10, (VectorSpec(1, 1),) + (VectorSpec(8, 1 << 10),) * (VECTORS - 1))
    alphas = random.integers(-1024, 1024, (VECTORS, rows))
    alphas[0] = alphas[0] > 0
    columns = Dense(random.integers(-1024, 1024, (COLUMNS, rows)))
    best = float("inf")
    for _ in range(2):  # the first pass compiles
        session = secrets.token_bytes(32)
        started = time.perf_counter()
        bank = BankProduct(shape, session, alphas, secrets.token_bytes(32))
        node = NodeProduct(shape, session, columns, secrets.token_bytes(32))
        node.recover(bank.answer(*node.respond(*bank.encrypt())))
        best = min(best, time.perf_counter() - started)
    return best


def paillier_seconds(rows: int) -> float:
    """Seconds of `phe` for 14 encrypted vectors of `rows` entries against 10 columns: encrypt, multiply, add."""
    import phe

    public, _ = phe.generate_paillier_keypair(n_length=3072)
    random = np.random.default_rng(2)
    vectors = random.integers(-1024, 1024, (VECTORS, rows)).tolist()
    columns = random.integers(-1024, 1024, (COLUMNS, rows)).tolist()
    started = time.perf_counter()
    for vector in vectors:
        encrypted = [public.encrypt(int(value)) for value in vector]
        for column in columns:
            functools.reduce(operator.add, (e * int(x) for e, x in zip(encrypted, column, strict=True)))
    return time.perf_counter() - started
