"""The transparency log: every access leaves a leaf before its result is released, and anyone can check it offline.

```
verifier/     what a bank imports: Merkle proofs, signed notes, receipts, the check of a whole log; standard library
              and cryptography only, no database, no network
witness/      the tlog-witness that the office and a bank run: a pure state machine, its store, its HTTP route, and a
              service of its own around them
log/          the writing side: queue, sequencer under a database lease, tiles, cosigning, HTTP routes
database.py   one way of opening SQLite and PostgreSQL so that a commit is durable
cli.py        `xinqiao verify` and `xinqiao mirror`
```

`verifier` knows nobody; `witness` knows `verifier` (its service also `service.settings`); `log` knows both. The formats are
those of C2SP (signed-note, tlog-checkpoint, tlog-tiles, tlog-proof, tlog-cosignature, tlog-witness) over RFC 6962 hashing.
"""

import runpy

__distribution__ = "xinqiao"  # the other packages look for it, see models/_ownership.py

runpy.run_path(f"{__path__[0]}/../models/_ownership.py")["require_own"](__file__, "crypto", "models")
