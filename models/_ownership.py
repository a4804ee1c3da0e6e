"""Are `crypto`, `models` and `audit` ours? Their names are generic, so another file may answer to them.

A package's `__init__` loads this file **by its path**, since `models` may be the very name that is shadowed:

    runpy.run_path(f"{__path__[0]}/../models/_ownership.py")["require_own"](__file__, "crypto", "models")

Only the standard library is used, and nothing of a stranger's file is run before its place was judged.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

DISTRIBUTION = "xinqiao"


def require_own(importer: str, *names: str) -> None:
    """Raise ImportError unless each package of ``names`` is ours; ``importer`` is the asking package's file.

    Ours lies beside the asking package and carries the marker ``__distribution__``: another distribution may
    have been installed over it. The message names the file that was found and says what to do.
    """
    asking = Path(importer).resolve().parent
    for name in names:
        found = _origin(name)
        expected = asking.parent / name / "__init__.py"
        if found != expected or not _is_marked(name):
            message = _explain(asking.name, name, expected, found)
            raise ImportError(message, name=name, path=str(found or expected))


def _origin(name: str) -> Path | None:
    """The file that ``import name`` runs or has run; None when there is none (nothing, or a bare folder)."""
    if name in sys.modules:
        origin = getattr(sys.modules[name], "__file__", None)
    else:
        spec = importlib.util.find_spec(name)
        origin = spec.origin if spec else None
    return Path(origin).resolve() if origin else None


def _is_marked(name: str) -> bool:
    return getattr(importlib.import_module(name), "__distribution__", None) == DISTRIBUTION


def _explain(asking: str, name: str, expected: Path, found: Path | None) -> str:
    needs = f"{asking} needs the package {name!r} of {DISTRIBUTION}, but "
    if found is None or found == expected:
        return (
            f"{needs}it is missing at {expected.parent}, or another distribution was installed over it. "
            f"Install {DISTRIBUTION} again, in an environment of its own."
        )
    return (
        f"{needs}Python finds {found} first. Rename that file or folder, or run from another folder "
        f"(PYTHONPATH counts too); if another distribution brought it, install {DISTRIBUTION} in an "
        f"environment of its own."
    )
