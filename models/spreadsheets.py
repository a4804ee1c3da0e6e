"""CSV files as spreadsheet programs write and read them: their encodings, and cells that they would take for formulas."""

from __future__ import annotations

import re

_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
# Spreadsheets take a cell that starts so for a formula; some of them the full-width signs too.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?")


def csv_text(content: bytes, name: str) -> str:
    """A CSV file's text, from UTF-8 (with a byte order mark or without) or GB 18030; raises ValueError."""
    if content.startswith(_WORKBOOKS):
        raise ValueError(f"{name} is a spreadsheet file; save it as CSV (UTF-8)")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ValueError(f"{name} is neither UTF-8 nor GB 18030; save it as CSV (UTF-8)")


def safe_cell(cell: str) -> str:
    """The cell as text: what a spreadsheet would take for a formula gets an apostrophe in front; numbers stay."""
    cell = cell.replace("\0", "␀")
    if cell.lstrip(" ").startswith(_FORMULA) and not _NUMBER.fullmatch(cell.strip()):
        return "'" + cell
    return cell
