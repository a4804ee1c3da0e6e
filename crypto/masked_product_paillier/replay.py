"""What the office recomputes from a bank's opened seed: `crypto.masked_product.replay`, under Paillier."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crypto.errors import InvalidCiphertext
from crypto.masked_product.replay import ReplayDigests, digest_bp, digest_w
from crypto.masked_product.shape import ProductShape
from crypto.masked_product_paillier.bank import BankProduct
from crypto.masked_product_paillier.packing import Bytes


def replay(
    shape: ProductShape, session_seed: bytes, alphas: NDArray[np.int64], seed: bytes, h: Bytes, c: Bytes
) -> ReplayDigests:
    """Digests of the messages that ``alphas`` int64[V, N] and ``seed`` lead to under the reply (h, c).

    Other vectors or another seed have another key, and a reply to another key may not open at all: then ``w`` is empty, which
    is no digest. Raises what ``BankProduct`` raises for vectors outside their bounds.
    """
    bank = BankProduct(shape, session_seed, alphas, seed)
    b_p = digest_bp(*bank.encrypt())
    try:
        return ReplayDigests(b_p, digest_w(bank.answer(h, c)))
    except InvalidCiphertext:
        return ReplayDigests(b_p, b"")
