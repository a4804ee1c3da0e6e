"""What a service does by itself now and then, in the one of its processes that sequences the log."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Self

import structlog
from sqlalchemy.exc import SQLAlchemyError

from models.problems import Problem

logger = structlog.get_logger()


class Rounds(ABC):
    """A thread that looks every so many seconds, while this is entered and `is_ours` holds.

    What a round cannot do now (the database, another service or a file does not answer) is logged and left to a later one.
    """

    def __init__(self, name: str, seconds: float, is_ours: Callable[[], bool]) -> None:
        self._name = name
        self._seconds = seconds
        self._is_ours = is_ours
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stopping.set()
        self._thread.join()

    @abstractmethod
    def look(self) -> None:
        """One round: do what is due."""

    def _run(self) -> None:
        while not self._stopping.wait(self._seconds):
            try:
                if self._is_ours():
                    self.look()
            except (Problem, SQLAlchemyError, OSError) as error:
                logger.warning("a round was not finished", round=self._name, error=type(error).__name__)
