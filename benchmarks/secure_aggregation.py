"""A sum over banks in memory: `BANKS` clients and the node, `WORDS` words each, `DROPPED` of them lost before their input.

Beside it: the plain sum of the same vectors. Seconds are of the processor, all sides together.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.report import Metric, Result, Settings
from crypto import secure_aggregation as protocol
from crypto.secure_aggregation import Member, Participant, Round


def run(settings: Settings) -> Result:
    """One round from keys to sum, and what it sends."""
    banks, words = settings.size("BANKS", 10), settings.size("WORDS", 100_000)
    dropped = settings.size("DROPPED", 2)
    keys = {f"bank-{n:02}": Ed25519PrivateKey.generate() for n in range(banks)}
    members = tuple(Member(name, key.public_key().public_bytes_raw()) for name, key in keys.items())
    terms = Round("benchmark", 1, members, words)
    rng = np.random.default_rng(1)
    vectors = {name: rng.integers(0, 2**64, words, dtype=np.uint64) for name in keys}
    alive = list(keys)[: banks - dropped]

    began = time.process_time()
    expected = np.sum([vectors[name] for name in alive], axis=0, dtype=np.uint64)
    plain = time.process_time() - began

    began = time.process_time()
    parties = {name: Participant(terms, name, key) for name, key in keys.items()}
    listed = protocol.key_list(terms, {name: party.advertise_keys() for name, party in parties.items()})
    shares = {name: party.share_keys(listed) for name, party in parties.items()}
    delivered = protocol.deliveries(terms, shares)
    inputs = {name: parties[name].mask_input(delivered[name], vectors[name]) for name in alive}
    digests = {name: protocol.check_input(terms, listed, tuple(keys), name, body) for name, body in inputs.items()}
    survivors = protocol.survivor_list(terms, listed, tuple(keys), digests)
    signed = {name: parties[name].check_consistency(survivors) for name in alive}
    request = protocol.unmask_request(terms, survivors, signed)
    answers = {name: parties[name].unmask(request) for name in alive[: terms.threshold]}
    total = protocol.aggregate(terms, listed, survivors, inputs, answers)
    seconds = time.process_time() - began

    if not np.array_equal(total, expected):
        raise RuntimeError("the sum is wrong")
    sent = max(sum(len(step.get(name, b"")) for step in (shares, inputs, signed, answers)) for name in alive)
    print(f"{banks} banks × {words:,} words, {dropped} lost: {seconds:.2f} s", file=sys.stderr)
    return {
        "cpu_s": Metric(round(seconds, 3), "s", round(plain, 5), "the plain sum"),
        "sent_mb": Metric(round(sent / 1e6, 3), "MB a bank", round(8 * words / 1e6, 3), "the vector in clear"),
    }
