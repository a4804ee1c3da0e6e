"""Run one benchmark: `python -m benchmarks joint-scorecard`.

A benchmark is a module of this folder with ``run(settings: Settings) -> Result``. Its last line of output is one JSON
object; whatever it says while it works goes to the error stream.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import pkgutil
import sys

import benchmarks
from benchmarks.report import Settings, machine, plain

PLUMBING = {"__main__", "report"}


def names() -> list[str]:
    """The benchmarks that exist, as they are named on the command line."""
    modules = {module.name for module in pkgutil.iter_modules(benchmarks.__path__)}
    return sorted(name.replace("_", "-") for name in modules - PLUMBING if not name.startswith("_"))


def report(name: str, settings: Settings) -> dict[str, object]:
    """Run the benchmark ``name`` and return what is printed."""
    module = importlib.import_module(f"benchmarks.{name.replace('-', '_')}")
    with contextlib.redirect_stdout(sys.stderr):
        result = module.run(settings)
    return {
        "name": name,
        "metrics": {metric: figure.as_json() for metric, figure in result.items()},
        "sizes": settings.sizes,
        "machine": machine(),
    }


def main(arguments: list[str]) -> None:
    """Run the one benchmark that ``arguments`` name."""
    known = names()
    if len(arguments) != 1 or arguments[0] not in known:
        sys.exit(f"Name one benchmark, as in make bench NAME=…: {', '.join(known) or 'there is none yet'}")
    print(json.dumps(report(arguments[0], Settings()), ensure_ascii=False, allow_nan=False, default=plain))


if __name__ == "__main__":
    main(sys.argv[1:])
