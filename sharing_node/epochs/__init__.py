"""Epoch tables: building one under a fresh key, opening it under the office's seal, and answering private queries.

::

    records or scores ─> y = F(k, id) ─> tag, key ─> cells sorted by tag ─> columns of D ─> hint D·A
                                                       + dummies              + Merkle path
    manifest (signed, logged) ─> office checks D and the hint, seals ─> open ─> tickets ─> k·B ─> column by SimplePIR

Leakage: the node learns that a bank asked something, for which purpose, and when; it does not learn whom. The bank learns
the one record of its ticket and a column of ciphertexts that its ticket does not open.
"""
