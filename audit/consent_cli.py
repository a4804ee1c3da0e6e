"""`xinqiao verify-consent`: check the receipt of a consent with nothing but the credit office's public keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audit.offline import fail, statement_key
from audit.verifier.consents import open_consent_receipt
from audit.verifier.errors import LogError
from audit.verifier.note import VerifierKey
from models.consent_receipts import parse_receipt
from models.consent_words import lines_of
from models.problems import Problem

LARGEST_FILE = 1 << 20

Receipt = Annotated[
    Path, typer.Argument(metavar="FILE", help="The receipt's file, or a text file with the contents of its QR codes.")
]
OfficeKey = Annotated[str, typer.Option("--office-key", help="The office's statement key, as `GET /keys` shows it (base64).")]
LogKey = Annotated[list[str], typer.Option("--log-key", help="Verifier key of the office's log (several after a change).")]
WitnessKeys = Annotated[
    list[str] | None, typer.Option("--witness-key", help="Verifier key of a witness of that log; give one option for each.")
]
Quorum = Annotated[
    int | None, typer.Option("--quorum", min=0, help="How many witnesses must have cosigned [default: all given].")
]


def verify_consent(
    file: Receipt, office_key: OfficeKey, log_key: LogKey, witness_key: WitnessKeys = None, quorum: Quorum = None
) -> None:
    """Check a consent receipt offline, and show what it says. Ends with 1, and says why, if anything is wrong."""
    try:
        office = statement_key(office_key)
        logs = [VerifierKey.parse(key) for key in log_key]
        witnesses = [VerifierKey.parse(key) for key in witness_key or []]
        wanted = len(witnesses) if quorum is None else quorum
        if file.stat().st_size > LARGEST_FILE:
            raise ValueError("the file is too large for a receipt")
        receipt = parse_receipt(file.read_text(encoding="utf-8-sig"))
        statement = open_consent_receipt(receipt, office, logs, witnesses, wanted)
    except Problem as problem:
        fail(problem.detail)
    except (LogError, ValueError, OSError) as error:
        fail(str(error))
    for label, said in lines_of(statement, "zh"):
        typer.echo(f"{label}：{said}")
    typer.echo("")
    for label, said in lines_of(statement, "en"):
        typer.echo(f"{label}: {said}")
    typer.echo("")
    state = "WITHDRAWN" if statement.withdrawn_at else "Good"
    typer.echo(f"{state}: the office signed this, and its log has it; {wanted} of {len(witnesses)} witnesses were asked for.")
