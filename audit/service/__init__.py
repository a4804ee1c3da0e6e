"""How node and office serve: signed requests, roles, and no answer before its leaf is durable.

::

    request ─> gate: size, type, signature, nonce, role, body ─> handler (computes; reads only)
                                                                    │ Outcome(answer, leaves, record)
                one transaction: record(state) + leaves queued + answer stored
                                                                    │
                sequencer gives every leaf its index, durably ──────┤
                                                                    ▼
    reply  <──────────────── Logged(answer, index and signed promise of each leaf)

A handler cannot answer by itself: it returns an `Outcome`, and only the gate turns one into a reply. A refusal is an
exception (`models.problems`) and leaves its own leaf in the same way.
"""
