"""Topics of the console: each brings its pages, its texts and its places in the navigation; `pages_*` modules are found."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fastapi import APIRouter

from audit.console.session import OfficeSession
from models.parties import Role


@dataclass(frozen=True)
class Entry:
    """One entry of the navigation: where it leads, its text's key, who sees it, and its place (10, 20, …)."""

    path: str
    label: str
    roles: frozenset[Role]
    order: int


@dataclass(frozen=True)
class Waits:
    """Something that waits for a person, for the start page: a text's key, how many, and where to go."""

    label: str
    count: int
    path: str


@dataclass(frozen=True)
class Topic:
    """What one ``pages_<topic>`` module brings; it is the module's ``TOPIC``."""

    router: APIRouter
    texts: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    entries: tuple[Entry, ...] = ()
    waiting: Callable[[OfficeSession, Role], list[Waits]] | None = None
    details: Mapping[str, str] = field(default_factory=dict)


def topics() -> list[Topic]:
    """All topics, by the name of their module."""
    import audit.console as here

    names = sorted(module.name for module in pkgutil.iter_modules(here.__path__) if module.name.startswith("pages_"))
    return [importlib.import_module(f"audit.console.{name}").TOPIC for name in names]
