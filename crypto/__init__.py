"""Primitives and protocols, bytes in and bytes out: no I/O, no SQL, no HTTP, and no other package of ours."""

__distribution__ = "xinqiao"  # the other packages look for it, see models/_ownership.py
