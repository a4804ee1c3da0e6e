"""Masked product: ⟨x_j, α_v⟩ for the node's columns x_j and a bank's vectors α_v, and neither side sees the other's.

All arithmetic is modulo 2^64. A (N × n) and P (n × n) are public, from the session's seed, under different labels.

    Bank                                             Node
    s_v ternary, noise e_v, e'_v                     u_j ternary, noise f_j, M_jv uniform
    b_v = A s_v + e_v + Δ_v α_v
    p_v = P s_v + e'_v            ---- b, p ---->
                                                     h_j  = Aᵀ x_j + Pᵀ u_j + f_j
                                  <--- h, c -----    c_jv = ⟨x_j, b_v⟩ + ⟨u_j, p_v⟩ + M_jv
    w_jv = c_jv − ⟨h_j, s_v⟩ + g  ----- w ------>
                                                     ⟨x_j, α_v⟩ ≈ (w_jv − M_jv) / Δ_v

Leakage. The bank learns N, the number of columns and nothing else: h_j is an LWE sample under a P that nobody chose, c_jv
is uniform, so what it receives is independent of x whatever it sends. The node learns the products up to the noise g
(standard deviation max(a_v natural units, σ·√(J·N)·x_max/8)), which hides e_v and s_v; that is not differential privacy,
but a vector's own ``noise`` can be. A node that makes up h reads J entries of s_v: label secrecy assumes that it follows
the protocol, and its commitments to u, f and M make a deviation provable. What the node does with a product is not
protected here: nothing derived from one may reach the bank before an office has replayed the bank's side (``replay``) and
found its inputs well-formed.

Single use. Every secret is a function of a seed, the session, the shape and the very input it serves, so that another
input meets other secrets; a second answer under the same secrets is refused.
"""

from crypto.masked_product.bank import BankProduct, commit_vectors
from crypto.masked_product.node import Answered, NodeCommitments, NodeProduct, recover_sum
from crypto.masked_product.replay import ReplayDigests, digest_bp, digest_hc, digest_w, replay
from crypto.masked_product.shape import Dense, OneHot, ProductShape, VectorSpec, fixed_point

__all__ = [
    "Answered",
    "BankProduct",
    "Dense",
    "NodeCommitments",
    "NodeProduct",
    "OneHot",
    "ProductShape",
    "ReplayDigests",
    "VectorSpec",
    "commit_vectors",
    "digest_bp",
    "digest_hc",
    "digest_w",
    "fixed_point",
    "recover_sum",
    "replay",
]
