"""Column queries that wait at the same time share a pass over their epoch's matrix.

A pass reads the whole matrix whatever it answers, so several queries in one cost little more than one. How passes are shared
changes neither answers nor who gets them: each row of the product belongs to one query. Requests of many queries are cut
into pieces that line up again after each pass, so that a single question never waits for a whole village. Matrices are
multiplied on all cores by threads that hold no lock of the interpreter (`crypto.kernels`); more passes at once would only
slow each other down.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audit.combining import Combiner
from crypto import pir
from models.problems import BadMessage, Busy

QUERIES_A_PASS = 16
QUERIES_A_PIECE = 8
RETRY_SECONDS = 2


class _Piece(NamedTuple):
    """Queries uint32[t, m] of one request for one matrix uint8[rows, m]."""

    matrix: NDArray[np.uint8]
    queries: NDArray[np.uint32]


class ColumnCombiner:
    """Answers column queries, at most `passes` passes at once, for at most `requests` requests at once."""

    def __init__(self, *, passes: int, requests: int) -> None:
        self._places = threading.BoundedSemaphore(requests)
        self._answer_together = Combiner(
            _answer_together,
            most=QUERIES_A_PASS,
            at_once=passes,
            key=lambda piece: id(piece.matrix),  # what waits holds its matrix, so that no other one gets this number
            weight=lambda piece: len(piece.queries),
        )

    def answer(self, matrix: NDArray[np.uint8], queries: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """D·q for each query: uint32[T, rows] from uint32[T, m].

        Raises:
            BadMessage: the queries have another shape than this matrix takes; nobody else is troubled by them.
            Busy: as many requests wait as may.
        """
        if queries.ndim != 2 or queries.shape[1] != matrix.shape[1] or queries.dtype != np.uint32:
            raise BadMessage(f"a query of this epoch has {matrix.shape[1]} numbers of 32 bits")
        if not self._places.acquire(blocking=False):
            raise Busy("as many column queries wait as this node takes at once", retry_after=RETRY_SECONDS)
        try:
            answers = np.empty((len(queries), matrix.shape[0]), np.uint32)
            for start in range(0, len(queries), QUERIES_A_PIECE):
                piece = slice(start, start + QUERIES_A_PIECE)
                answers[piece] = self._answer_together(_Piece(matrix, queries[piece]))
            return answers
        finally:
            self._places.release()


def _answer_together(pieces: Sequence[_Piece]) -> Sequence[NDArray[np.uint32]]:
    queries = pieces[0].queries if len(pieces) == 1 else np.concatenate([piece.queries for piece in pieces])
    answers = pir.answer_many(pieces[0].matrix, queries)
    ends = np.cumsum([len(piece.queries) for piece in pieces])
    return np.split(answers, ends[:-1])
