"""Rows that were not taken in, written back for the sender: the encoding and columns as sent, the reasons in front."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from models.spreadsheets import safe_cell
from sharing_node.ingest.header import LINE_COLUMN, REASON_COLUMN
from sharing_node.ingest.reading import Encoding, read_lines


def quarantine_path(folder: Path, file_name: str) -> Path:
    """``land.csv`` gives ``land.quarantine.csv`` in the folder."""
    name = Path(file_name).name
    return folder / f"{name[:-4] if name.lower().endswith('.csv') else name}.quarantine.csv"


def write_quarantine(path: Path, stream: BinaryIO, encoding: Encoding, problems: Mapping[int, Sequence[str]]) -> None:
    """Copy the header and the rows at fault, each with its line number and reasons; replaces ``path`` at once.

    ``stream`` stands at its start; ``problems`` maps line numbers to reasons. The file holds personal data like the one
    that was sent, so only its owner may read it.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".quarantine-")
    try:
        with open(handle, "w", encoding=encoding, errors="surrogateescape", newline="") as out:
            writer = csv.writer(out, lineterminator="\r\n")
            lines = read_lines(stream, encoding)
            # A corrected quarantine file has these two columns already.
            header = next(lines).cells
            old = [index for index, cell in enumerate(header) if cell in (LINE_COLUMN, REASON_COLUMN)]
            writer.writerow([LINE_COLUMN, REASON_COLUMN, *_row(header, old)])
            for line in lines:
                if line.number in problems:
                    reasons = "; ".join(problems[line.number])
                    writer.writerow([line.number, reasons, *_row(line.cells, old)])
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _row(cells: Sequence[str], left_out: Sequence[int]) -> list[str]:
    return [safe_cell(cell) for index, cell in enumerate(cells) if index not in left_out]
