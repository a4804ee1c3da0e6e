"""`xinqiao verify-archive`: check a downloaded credit file with nothing but the public keys of office and node."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from audit.offline import fail, statement_key
from audit.verifier.archives import verify_archive_file
from audit.verifier.errors import LogError
from crypto.errors import CryptoError
from models.problems import Problem

LARGEST_FILE = 64 << 20


def verify_archive(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file that was downloaded at the window or under /me.")],
    office_key: Annotated[str, typer.Option("--office-key", help="The office's statement key (`GET /keys`, base64).")],
    node_key: Annotated[str, typer.Option("--node-key", help="The node's statement key (`GET /keys`, base64).")],
) -> None:
    """Check a credit file offline: signatures, rows in cohorts and alignments, letters. Ends with 1 if anything is wrong."""
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise ValueError("the file is too large for a credit file")
        found = verify_archive_file(file.read_bytes(), statement_key(office_key), statement_key(node_key, "node"))
    except Problem as problem:
        fail(problem.detail)
    except (LogError, CryptoError, ValueError, OSError) as error:
        fail(str(error))
    made = datetime.fromtimestamp(found.archive.issued_at).astimezone()
    values = sum(len(section.fields) for section in found.archive.sections)
    typer.echo(f"Good: the node signed this archive of {values} values on {made:%Y-%m-%d %H:%M %Z}.")
    typer.echo(f"{found.alignments} alignments and {found.cohorts} cohorts with this person's row are proven.")
    if found.unproven:
        typer.echo(f"{found.unproven} cohorts stand on the node's word alone: their project's key has been destroyed.")
    for use in found.archive.models:
        typer.echo(f"  model {use.model} of {use.bank} was trained on this row")
    for letter in found.letters:
        typer.echo(f"  letter {letter.number} of the office: {letter.finding}")
