"""The masked product under Paillier: ⟨x_j, α_v⟩ as in `crypto.masked_product`, for who asks for a standardised scheme (ISO/IEC
18033-6). Same roles, same steps, one bank at a time; more than ten times slower. Needs the extra `paillier`.

All arithmetic on ciphertexts is modulo n². A row's vectors share one plaintext, 64 bits each, so that N rows are N ciphertexts.

    Bank                                             Node
    key (n, h), proof that gcd(n, φ(n)) = 1
    b_i = (1+n)^m_i · h^a_i,  m_i = Σ_v α_vi·2^(64v)
                                  ---- b, key ----> proof; every b_i a unit below n²
                                                     U_j uniform modulo n, r_j a uniform unit
                                  <----- c -------   c_j = Π_i b_i^x_ij · (1+n)^U_j · r_j^n
    w_j = Dec(c_j) + Σ_v g_jv·2^(64v) modulo n
                                  ----- w ------->   (w_j − U_j) modulo n, cut into 64 bits each: ⟨x_j, α_v⟩ + g_jv

Leakage. The bank learns N, the number of columns and nothing else, *whatever it sends*: with gcd(n, φ(n)) = 1 a unit modulo n²
is (1+n)^m · r^n for one m and one r, and U_j and r_j make both uniform and independent of x. The node learns the products up to
the noise g, of a standard deviation of a_v natural units as under LWE, and nothing else of α: that is Paillier's assumption,
and on h one more (docs/decisions). Replays, commitments, single use and the order of columns are those of the other backend.
There is no scale Δ: without LWE noise a product is exact but for g.
"""

from crypto.masked_product_paillier.bank import BankProduct, answer_sd
from crypto.masked_product_paillier.node import NodeProduct
from crypto.masked_product_paillier.packing import check
from crypto.masked_product_paillier.replay import replay

__all__ = ["BankProduct", "NodeProduct", "answer_sd", "check", "replay"]
