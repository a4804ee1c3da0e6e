"""`xinqiao verify` and `xinqiao mirror`: check and copy a log with nothing but its files and the verifier keys."""

from __future__ import annotations

import os
import re
import urllib.error
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from audit.verifier.checkpoint import SignedCheckpoint, open_checkpoint
from audit.verifier.errors import DamagedLog, LogError
from audit.verifier.log_check import Fetch, check_log, directory_fetch, fetch_tile, http_fetch
from audit.verifier.note import VerifierKey
from audit.verifier.proof import Receipt
from audit.verifier.tiles import CHECKPOINT_PATH, ENTRIES, levels_of, tiles_at

app = typer.Typer(
    help="Check a transparency log, or copy it, with nothing but its files and its verifier keys.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)

LogPlace = Annotated[str, typer.Argument(metavar="LOG", help="The log's http(s) address or a directory that mirrors it.")]
VKeys = Annotated[
    list[str], typer.Option("--log-key", "--vkey", help="Verifier key of the log (more than one after a key change).")
]
WitnessVKeys = Annotated[
    list[str] | None,
    typer.Option("--witness-key", "--witness-vkey", help="Verifier key of a witness; give one option for each."),
]
Quorum = Annotated[
    int | None, typer.Option("--quorum", min=0, help="How many witnesses must have cosigned [default: all given].")
]


@app.command()
def verify(
    vkey: VKeys,
    log: Annotated[
        str | None, typer.Argument(metavar="[LOG]", help="The log's http(s) address or a directory that mirrors it.")
    ] = None,
    witness_vkey: WitnessVKeys = None,
    quorum: Quorum = None,
    since: Annotated[
        list[Path] | None, typer.Option("--since", help="A checkpoint seen earlier, which the log must extend.")
    ] = None,
    receipt: Annotated[
        Path | None, typer.Option("--receipt", help="Check this receipt (tlog-proof) instead of a log; needs --entry.")
    ] = None,
    entry: Annotated[Path | None, typer.Option("--entry", help="The entry, byte for byte, that the receipt is for.")] = None,
) -> None:
    """Check a whole log, or one receipt offline. Ends with 1, and names the place, if anything is wrong."""
    if (receipt is None) != (entry is None) or (receipt is None) == (log is None):
        raise typer.BadParameter("give either LOG, or both --receipt and --entry")
    try:
        keys, witnesses, wanted = _keys(vkey, witness_vkey, quorum)
        if receipt is not None and entry is not None:
            _verify_receipt(receipt, entry, keys, witnesses, wanted)
        elif log is not None:
            _verify_log(log, keys, witnesses, wanted, since or [])
    except (LogError, OSError, UnicodeDecodeError) as error:
        _fail(error)


@app.command()
def mirror(
    log: LogPlace,
    directory: Annotated[Path, typer.Argument(help="Where the copy goes; an earlier copy is brought up to date.")],
    vkey: VKeys,
    witness_vkey: WitnessVKeys = None,
    quorum: Quorum = None,
) -> None:
    """Copy a log's checkpoint, tiles and entries into a directory, and check the copy.

    A log that was cut, or that forked from an earlier copy, is refused; the earlier checkpoint then stays.
    """
    try:
        keys, witnesses, wanted = _keys(vkey, witness_vkey, quorum)
        fetch = _fetch(log)
        note = _checkpoint_bytes(fetch)
        signed = open_checkpoint(note, keys, witnesses, wanted)
        copied = _copy(fetch, directory, signed)
        local, old = directory_fetch(directory), directory / CHECKPOINT_PATH
        earlier = [old.read_text(encoding="utf-8")] if old.exists() else []
        check_log(lambda path: note if path == CHECKPOINT_PATH else local(path), keys, witnesses, wanted, earlier=earlier)
        _write(old, note)
    except (LogError, OSError, UnicodeDecodeError) as error:
        _fail(error)
    typer.echo(f"Copied {copied} files. The copy is whole.")
    _describe(signed)


def _verify_log(place: str, keys: list[VerifierKey], witnesses: list[VerifierKey], quorum: int, since: Sequence[Path]) -> None:
    earlier = [path.read_text(encoding="utf-8") for path in since]
    report = check_log(_fetch(place), keys, witnesses, quorum, earlier=earlier)
    typer.echo("The log is whole: every entry and every tile lead to the signed root.")
    if earlier:
        typer.echo(f"It extends the {len(earlier)} earlier checkpoint(s) given.")
    _describe(report.checkpoint)


def _verify_receipt(receipt: Path, entry: Path, keys: list[VerifierKey], witnesses: list[VerifierKey], quorum: int) -> None:
    parsed = Receipt.parse(receipt.read_bytes().decode())
    parsed.verify(entry.read_bytes(), keys, witnesses, quorum)
    typer.echo(f"The receipt is good: the entry stands at index {parsed.index}.")
    _describe(open_checkpoint(parsed.checkpoint, keys, witnesses, quorum))


def _describe(signed: SignedCheckpoint) -> None:
    typer.echo(f"Log:        {signed.checkpoint.origin}")
    typer.echo(f"Entries:    {signed.checkpoint.size:,}")
    typer.echo(f"Root:       {signed.checkpoint.root.hex()}")
    names = sorted({signature.key.name for signature in signed.cosignatures})
    typer.echo(f"Witnesses:  {', '.join(names) or 'none checked'}")


def _keys(
    vkeys: Sequence[str], witness_vkeys: Sequence[str] | None, quorum: int | None
) -> tuple[list[VerifierKey], list[VerifierKey], int]:
    witnesses = [VerifierKey.parse(vkey) for vkey in witness_vkeys or []]
    return [VerifierKey.parse(vkey) for vkey in vkeys], witnesses, len(witnesses) if quorum is None else quorum


def _fetch(place: str) -> Fetch:
    return http_fetch(place) if re.match(r"https?://", place) else directory_fetch(Path(place))


def _checkpoint_bytes(fetch: Fetch) -> bytes:
    try:
        return fetch(CHECKPOINT_PATH)
    except FileNotFoundError:
        raise DamagedLog(CHECKPOINT_PATH, "there is no checkpoint here: is this the prefix of a log?") from None


def _copy(fetch: Fetch, directory: Path, signed: SignedCheckpoint) -> int:
    """Fetch what the directory lacks; how many files that were. Full tiles never change, so they stay."""
    copied = 0
    for level in (ENTRIES, *levels_of(signed.checkpoint.size)):
        for tile in tiles_at(signed.checkpoint.size, level):
            if (directory / tile.path).is_file():
                continue
            try:
                served, data = fetch_tile(fetch, tile)
            except FileNotFoundError:
                raise DamagedLog(tile.path, "the log does not serve this file") from None
            _write(directory / served.path, data)
            copied += 1
    return copied


def _write(path: Path, data: bytes) -> None:
    """Put a file in place whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_bytes(data)
    os.replace(new, path)


def _fail(error: Exception) -> None:
    if isinstance(error, DamagedLog):
        typer.echo(f"NOT whole. At {error.where}: {error.why}.", err=True)
    elif isinstance(error, LogError):
        typer.echo(f"NOT verified: {error}.", err=True)
    elif isinstance(error, urllib.error.URLError):
        typer.echo(f"NOT verified: the log cannot be reached ({error.reason}).", err=True)
    else:
        typer.echo(f"NOT verified: a file cannot be read ({error}).", err=True)
    raise typer.Exit(1)
