"""`xinqiao verify-bundle`: check a case's evidence offline, with nothing but the file and the keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audit.offline import fail, statement_key
from audit.verifier.errors import LogError
from audit.verifier.note import COSIGNATURE_V1, ED25519, VerifierKey
from models.problems import Problem

if TYPE_CHECKING:
    from audit.dossier.evidence import LogTrust


def verify_bundle(
    file: Annotated[Path, typer.Argument(help="The file that the office exported.", exists=True, dir_okay=False)],
    office_key: Annotated[str, typer.Option("--office-key", help="The office's statement key: base64 of 32 bytes.")],
    log_key: Annotated[list[str], typer.Option("--log-key", help="Verifier key of a log: the office's and the node's.")],
    witness_key: Annotated[
        list[str] | None, typer.Option("--witness-key", help="Verifier key of a witness; give one option for each.")
    ] = None,
    quorum: Annotated[int, typer.Option("--quorum", min=0, help="How many of the witnesses must have cosigned each log.")] = 1,
) -> None:
    """Check a case's evidence: the file, its signature, every leaf, ticket, proof and report. Ends with 1 if one fails."""
    from audit.dossier.bundle import verify_bundle as verify
    from audit.dossier.evidence import Mismatch, Missing, Trust
    from audit.dossier.words import tell

    try:
        trust = Trust(statement_key(office_key), _logs(log_key, witness_key or [], quorum))
        verdict = verify(file.read_bytes(), trust)
    except Problem as problem:
        fail(problem.detail)
    except (Mismatch, Missing, LogError, ValueError) as error:
        fail(str(error))
    for line in tell(verdict):
        typer.echo(line)
    if verdict.failed:
        raise typer.Exit(1)


def _logs(keys: list[str], witnesses: list[str], quorum: int) -> tuple[LogTrust, ...]:
    from audit.dossier.evidence import LogTrust

    known = tuple(_verifier_key(key, COSIGNATURE_V1) for key in witnesses)
    return tuple(LogTrust(_verifier_key(key, ED25519), known, quorum if known else 0) for key in keys)


def _verifier_key(text: str, algorithm: int) -> VerifierKey:
    key = VerifierKey.parse(text)
    if key.algorithm != algorithm:
        raise ValueError("a log's verifier key has type 0x01 and a witness's type 0x04: two keys were mixed up")
    return key
