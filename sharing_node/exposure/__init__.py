"""Exposure checks at the node: it relays questions without the asker's name, collects answers, checks and adds them.

::

    routes ─> checks (who may, where a question stands, leaves) ─> crypto.paillier
                  └──────> repository, tables (all SQL)

The node sees ciphertexts under the asking bank's key and a sealed address: neither about whom nor how much.
"""
