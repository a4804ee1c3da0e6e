"""Primitives and protocols, bytes in and bytes out: no I/O, no SQL, no HTTP, and no other package of ours.

Each file is one protocol or one primitive, opens with its messages and its leakage statement, and builds on those to
its left:

    group ──> dleq ──> voprf ──> request_proof      who may ask, and about whom, without the node being told
                         └─────> cells              records that only one evaluation finds and opens

    The lattice files hold private retrieval and the masked product; aggregation and encrypted sums for several banks
    stand beside them. Each says in its own docstring what it builds on.

`errors` is the one error tree. Every function that takes bytes from outside checks them before a secret touches them;
`verify_*` returns None or raises; classes that hold secrets redact their repr.
"""

__distribution__ = "xinqiao"  # the other packages look for it, see models/_ownership.py
