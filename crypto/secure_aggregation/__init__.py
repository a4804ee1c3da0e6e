"""Secure aggregation: the node learns the sum of the banks' vectors in Z_2^64, and of no bank its own.

After Bonawitz et al., Practical Secure Aggregation for Privacy-Preserving Machine Learning, CCS 2017, figure 4, with the
protection against a node that deviates. K = 3 to 10 banks, t = ⌊2K/3⌋ + 1. Every message of a bank is signed with its
registered Ed25519 key over the digest of the round (session, number, members, length, c).

::

    bank u                                                        node
    ── 0  cipher key, mask key (X25519), H(seed) ───────────────>
       <─ key list: all of them, as they were signed ───────────
    ── 1  for each v: Enc_uv(share_v of mask key, of seed), each signed ─>  Shamir, any t of K
       <─ what the others have sealed for u ────────────────────
    ── 2  y = x + PRG(seed) + Σ_{u<v} PRG(k_uv) − Σ_{v<u} ──────>
    (where inputs are proven: mask key, seed, x ─> office, which recomputes y and signs; who fails counts as dropped)
       <─ survivor list: the living, their H(y), the dropped ────
    ── 3  signature on the list ────────────────────────────────>
       <─ the list with every survivor's signature ─────────────
    ── 4  shares: seeds of the living, mask keys of the dropped ─>     Σ x over the living

A bank refuses a substituted or repeated key, another session or round, two lists, a bank named alive and dead, a list that
leaves out one that has shared keys or that not all survivors have signed, its own death or another input of its own, a late
input, a second unmasking, fewer than max(t, c + 2) survivors, and, given its history, a set of banks that on unchanged labels
differs from an earlier one by c + 1 at most, or with several earlier ones leaves one bank.

c ≤ min(t − 1, 2t − K − 1, survivors − 2) banks may conspire with the node, which may deviate in any way: K = 3, 4: 1; 5, 7: 2;
6, 8, 10: 3; 9: 4.

Leakage statement. The node learns who takes part and when, and the sum over the survivors; with c banks, the sum over the
others, of whom there are at least two. Banks learn of each other who takes part. The office learns a bank's vector and masks
where inputs are proven, and nothing otherwise. Nothing in the sum is checked without that: a bank may send any vector. A bank
can also make a round come to nothing (by silence after the list, or by shares that give no secret), never change another's
input. That sums of different sets or at different times do not give a bank away is what the history rule, and the noise of
whoever builds on this, are for.
"""

from crypto.secure_aggregation.client import Participant
from crypto.secure_aggregation.replay import input_commitment, replay, words_digest
from crypto.secure_aggregation.round import Member, Round, Unmasked, check_history, collusion_bound, threshold
from crypto.secure_aggregation.server import (
    advertisers,
    aggregate,
    check_advertisement,
    check_consistency,
    check_input,
    check_shares,
    check_unmasking,
    deliveries,
    inputs_of,
    key_list,
    survivor_list,
    survivors_of,
    unmask_request,
)

__all__ = [
    "Member",
    "Participant",
    "Round",
    "Unmasked",
    "advertisers",
    "aggregate",
    "check_advertisement",
    "check_consistency",
    "check_history",
    "check_input",
    "check_shares",
    "check_unmasking",
    "collusion_bound",
    "deliveries",
    "input_commitment",
    "inputs_of",
    "key_list",
    "replay",
    "survivor_list",
    "survivors_of",
    "threshold",
    "unmask_request",
    "words_digest",
]
