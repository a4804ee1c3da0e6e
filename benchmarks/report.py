"""What a benchmark is asked and what it reports."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Metric:
    """One figure, with the baseline that the same run measured."""

    value: float
    unit: str
    baseline: float | None = None
    baseline_name: str | None = None

    @property
    def ratio(self) -> float | None:
        """Value over baseline; None without a baseline or with one of zero."""
        return self.value / self.baseline if self.baseline else None

    def as_json(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "unit": self.unit,
            "baseline": self.baseline,
            "baseline_name": self.baseline_name,
            "ratio": self.ratio,
        }


Result = Mapping[str, Metric]


@dataclass
class Settings:
    """Sizes a benchmark asks for by name; the environment may override them, and those asked are reported."""

    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    sizes: dict[str, int] = field(default_factory=dict)

    def size(self, name: str, default: int) -> int:
        """The positive integer ``name``, such as ``ROWS``, from the environment or ``default``."""
        given = self.environment.get(name) or str(default)
        if not given.isascii() or not given.isdigit() or int(given) == 0:
            raise ValueError(f"{name} must be a whole number above zero, such as {name}={default}; it is {given!r}")
        self.sizes[name.lower()] = int(given)
        return int(given)


def plain(number: Any) -> Any:
    """A numpy number as Python's own, for ``json.dumps(default=…)``."""
    return number.item()


def machine() -> dict[str, Any]:
    """The machine a figure was measured on: processor, usable cores, memory in GiB, Python."""
    return {
        "cpu": _first_field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": _memory_gib(),
        "python": platform.python_version(),
    }


def _memory_gib() -> float | None:
    total = _first_field("/proc/meminfo", "MemTotal")
    return round(int(total.split()[0]) / 2**20, 1) if total else None


def _first_field(file: str, name: str) -> str | None:
    path = Path(file)
    if not path.exists():
        return None
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None
