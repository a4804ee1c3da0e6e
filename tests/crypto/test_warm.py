"""Warming up runs every compiled loop and changes nothing that anyone can see."""

from __future__ import annotations

from crypto.warm import warm_up


def test_every_loop_runs_on_the_smallest_inputs() -> None:
    warm_up()
    warm_up()
