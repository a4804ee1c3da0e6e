"""Run an attack at its full count and keep the outcome: `make prove NAME=…`, or `NAME=all`.

An attack is a module of this folder with

    NAME: str                                       what `make prove` calls it
    FULL_COUNT: int                                 how many trials the claim rests on
    campaign(count: int, seed: int) -> dict         runs the trials; raises AssertionError where the attack succeeds

The tests run the same ``campaign`` with a small count. The outcome is written to ``docs/evidence/NAME.json``.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tests.attacks
from benchmarks.report import machine, plain

EVIDENCE = Path(__file__).parents[2] / "docs" / "evidence"
SEED = 20_250_101


@dataclass(frozen=True)
class Attack:
    name: str
    full_count: int
    campaign: Callable[[int, int], dict[str, Any]]


def attacks() -> dict[str, Attack]:
    """Every attack of this folder by name; two of one name are an error."""
    found: dict[str, Attack] = {}
    for info in pkgutil.iter_modules(tests.attacks.__path__):
        module = importlib.import_module(f"tests.attacks.{info.name}")
        if hasattr(module, "campaign"):
            attack = Attack(module.NAME, module.FULL_COUNT, module.campaign)
            if attack.name in found:
                raise ValueError(f"two attacks are called {attack.name!r}")
            found[attack.name] = attack
    return found


def prove(attack: Attack, folder: Path, seed: int = SEED) -> Path:
    """Run ``attack`` at its full count; the file that holds the outcome. Where it succeeds, no file is left."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{attack.name}.json"
    path.unlink(missing_ok=True)
    started = time.perf_counter()
    result = attack.campaign(attack.full_count, seed)
    evidence = {
        "name": attack.name,
        "result": result,
        "count": attack.full_count,
        "seed": seed,
        "seconds": round(time.perf_counter() - started, 1),
        "machine": machine(),
        "version": version("xinqiao"),
    }
    text = json.dumps(evidence, indent=2, ensure_ascii=False, allow_nan=False, default=plain)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def main(arguments: list[str]) -> None:
    """Prove the attack that ``arguments`` name, or all of them; the status is 1 where one succeeded."""
    known = attacks()
    if len(arguments) != 1 or arguments[0] not in {"all", *known}:
        sys.exit(f"Name one attack, as in make prove NAME=…: {', '.join([*sorted(known), 'all'])}")
    chosen = known.values() if arguments[0] == "all" else [known[arguments[0]]]
    broken = []
    for attack in chosen:
        print(f"{attack.name}: {attack.full_count} trials …", flush=True)
        try:
            print(f"{attack.name}: holds, see {prove(attack, EVIDENCE)}")
        except AssertionError as error:
            broken.append(attack.name)
            print(f"{attack.name}: THE ATTACK SUCCEEDS: {error}")
    if broken:
        sys.exit(f"Not proven: {', '.join(broken)}")


if __name__ == "__main__":
    main(sys.argv[1:])
