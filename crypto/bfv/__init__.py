"""A bank's secret linear model over the node's rows: Σ_j w_j·x_j for every row, and neither side sees the other's.

Ring-LWE modulo q and X^n + 1 (BFV); row i of a block of 8,192 is coefficient i. A weight is a constant, so that it
multiplies a coefficient each, and columns keep their small coefficients: slots would make them as large as t, and the noise
2^15 times larger (docs/decisions).

    Bank                                             Node
    s ternary, e_j noise
    b = −a·s + e,  ct_j = (−a_j·s + e_j + Δ·w_j, a_j)
                     ---- b, ct_j's first halves --->  a, a_j from the seed of both nonces
       (weights and seed are opened to the office, which makes all of it again and compares)
                                                      u ternary, e_1 noise, pad uniform modulo t,
                                                      E uniform in ± 2^(noise bound + 52)
                                                      Σ x_j·ct_j + u·(b, a) + (Δ·pad + E, e_1), switched to one prime
                     <------- one block a epoch -----
    Σ x_j w_j + pad, modulo t, of each row
       (a ticket for one subject opens its cell: block, row, pad less half a band of noise)

Leakage. The node learns how many columns have a weight and nothing of the weights: it sees Ring-LWE samples. The bank learns
nothing from a block: every row has a pad of its own, E hides what the rows did to the noise (statistical distance 2^-53 a
coefficient), and u·a + e_1 hides what they did to the second half (Ring-LWE under an a that neither side chose). With a
row's pad it learns that row's score, to which the node has added noise. Without the office's check a bank could choose
e_j larger than E and read rows from the noise; with it, e_j comes from the sampler.

Single use. A block is evaluated once in an epoch, and pads, u, e_1 and E are functions of the epoch's key.
"""

from crypto.bfv.bank import EncryptedModel, ModelKey, unpad, verify_opening
from crypto.bfv.node import ROWS, Block, ModelEvaluation, block_pads, column, load_column, save_column
from crypto.bfv.parameters import LARGEST_CODE, LARGEST_WEIGHT, MOST_COLUMNS, PRIVATE_MODEL, BfvParameters
from crypto.bfv.ring import MalformedData

__all__ = [
    "LARGEST_CODE",
    "LARGEST_WEIGHT",
    "MOST_COLUMNS",
    "PRIVATE_MODEL",
    "ROWS",
    "BfvParameters",
    "Block",
    "EncryptedModel",
    "MalformedData",
    "ModelEvaluation",
    "ModelKey",
    "block_pads",
    "column",
    "load_column",
    "save_column",
    "unpad",
    "verify_opening",
]
