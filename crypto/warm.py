"""Compiling before anyone waits: one tiny run of every compiled loop, for services to do while they start."""

from __future__ import annotations

import numpy as np

from crypto import pir
from crypto.masked_product import BankProduct, Dense, NodeProduct, OneHot, ProductShape, VectorSpec

_ROWS = 1_000


def warm_up() -> None:
    """Run both kinds of masked product and a private query on zeros; takes a second or two, and less once cached."""
    seed = bytes(32)
    label, column = VectorSpec(1, 1), VectorSpec(8, 1 << 10)
    counts = OneHot(np.zeros((1, _ROWS), dtype=np.uint8), (2,))
    moments = Dense(np.zeros((1, _ROWS), dtype=np.int64))
    for shape, columns in (
        (ProductShape(_ROWS, 2, 1, 1, (label,)), counts),
        (ProductShape(_ROWS, 1, 1 << 10, 8 << 10, (label, column)), moments),
    ):
        alphas = np.zeros((len(shape.vectors), _ROWS), dtype=np.int64)
        bank, node = BankProduct(shape, seed, alphas, seed), NodeProduct(shape, seed, columns, seed)
        node.recover(bank.answer(*node.respond(*bank.encrypt())))
    table = np.zeros((8, 8), dtype=np.uint8)
    hint = pir.setup(table, seed)
    pir.check_hint(table, hint, seed)
    query, state = pir.PirClient(seed, 8).query(0)
    pir.PirClient(seed, 8).recover(state, pir.answer(table, query), hint)
