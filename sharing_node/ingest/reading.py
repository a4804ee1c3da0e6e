"""A department's CSV file as lines of cells: encoding found, sizes limited, damage kept to the line it is in.

A row is one physical line. Cells may be quoted but hold no line breaks, so one stray quotation mark spoils one row and
not the rest of the file. The bytes of line break, comma and quotation mark never occur inside a longer character of
UTF-8 or GB18030, so lines may be cut before decoding.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

Encoding = Literal["utf-8", "utf-8-sig", "gb18030"]

DEFAULT_SIZE_LIMIT = 256 * 2**20
LINE_LIMIT = 2**16
"""Bytes; a longer line is no row of a department file."""


class IngestError(ValueError):
    """A file that cannot be taken in at all; nothing of it was stored. The message says what to correct."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What one pass over a file tells: its encoding, SHA-256 (32 bytes) and size in bytes."""

    encoding: Encoding
    digest: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Line:
    """One line that is not blank: its number (from 1), its cells, and what is wrong with it as a line, if anything.

    Undecodable bytes are kept in the cells as lone surrogates, so that they can be written back as they came.
    """

    number: int
    cells: list[str]
    problem: str | None


@contextmanager
def open_source(source: Path | str | BinaryIO) -> Iterator[BinaryIO]:
    """A seekable binary stream of the file, at its start; a stream that is passed in is not closed."""
    if isinstance(source, (str, Path)):
        with Path(source).open("rb") as stream:
            yield stream
    elif not source.seekable():
        raise IngestError("the stream cannot be read twice; store it in a file first")
    else:
        source.seek(0)
        yield source


def examine(stream: BinaryIO, *, size_limit: int = DEFAULT_SIZE_LIMIT) -> FileFacts:
    """Read the stream once to its end; ``IngestError`` if it is empty, too large or not a CSV text at all.

    UTF-8 checks itself, GB18030 hardly does. So the file is UTF-8 if most lines with other than ASCII characters decode
    as such; a few lines in another encoding do not change what the file is.
    """
    head = stream.read(4)
    if not head:
        raise IngestError("the file is empty")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise IngestError("the file is UTF-16; save it as CSV in UTF-8 or GB18030")
    if head in (b"PK\x03\x04", b"\xd0\xcf\x11\xe0"):
        raise IngestError("the file is a spreadsheet, not a CSV text; save it as CSV in UTF-8")
    stream.seek(0)
    digest, size, utf8, other = hashlib.sha256(), 0, 0, 0
    while line := stream.readline(LINE_LIMIT):
        size += len(line)
        if size > size_limit:
            raise IngestError(f"the file has more than {size_limit:,} bytes; split it")
        digest.update(line)
        if not line.isascii():
            try:
                line.decode("utf-8")
                utf8 += 1
            except UnicodeDecodeError:
                other += 1
    if head.startswith(codecs.BOM_UTF8):
        return FileFacts("utf-8-sig", digest.digest(), size)
    return FileFacts("utf-8" if utf8 >= other else "gb18030", digest.digest(), size)


def read_lines(stream: BinaryIO, encoding: Encoding) -> Iterator[Line]:
    """The lines of a stream that stands at its start; blank ones are left out."""
    codec = "gb18030" if encoding == "gb18030" else "utf-8"
    number = 0
    while raw := stream.readline(LINE_LIMIT):
        number += 1
        if number == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        too_long = len(raw) == LINE_LIMIT and not raw.endswith(b"\n")
        if too_long:
            _skip_line(stream)
        line = _line(number, raw, codec)
        if too_long:
            line = Line(number, line.cells, f"行过长/the line is longer than {LINE_LIMIT:,} bytes")
        if any(line.cells):
            yield line


def _line(number: int, raw: bytes, codec: str) -> Line:
    problem = None
    try:
        text = raw.decode(codec)
    except UnicodeDecodeError:
        text = raw.decode(codec, "surrogateescape")
        problem = f"编码错误/some bytes are not {codec}"
    body = text.rstrip("\r\n")
    if "\0" in body:
        problem = "含空字节/the line holds NUL bytes"
    elif problem is None and not raw.endswith((b"\n", b"\r")):
        # 12 and 1200 look alike when the end may be missing, so a last line without a line end is never believed.
        problem = "末行不完整/the file ends inside this line; if the row is complete, end it with a line break"
    if '"' not in body:
        return Line(number, body.split(","), problem)
    try:
        return Line(number, next(csv.reader([body], strict=True)), problem)
    except (csv.Error, StopIteration):
        return Line(number, [body], problem or "引号未闭合/quotation marks do not match")


def _skip_line(stream: BinaryIO) -> None:
    while (rest := stream.readline(LINE_LIMIT)) and not rest.endswith(b"\n"):
        pass
