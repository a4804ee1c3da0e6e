"""What the office recomputes from a bank's opened seed: `crypto.masked_product.replay`, under Paillier."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crypto.masked_product.replay import ReplayDigests, digest_bp, digest_w
from crypto.masked_product.shape import ProductShape
from crypto.masked_product_paillier.bank import BankProduct
from crypto.masked_product_paillier.packing import Bytes


def replay(
    shape: ProductShape, session_seed: bytes, alphas: NDArray[np.int64], seed: bytes, h: Bytes, c: Bytes
) -> ReplayDigests:
    """Digests of the messages that ``alphas`` int64[V, N] and ``seed`` lead to under the reply (h, c).

    Raises what ``BankProduct`` raises for vectors outside their bounds or a malformed reply.
    """
    bank = BankProduct(shape, session_seed, alphas, seed)
    return ReplayDigests(digest_bp(*bank.encrypt()), digest_w(bank.answer(h, c)))
