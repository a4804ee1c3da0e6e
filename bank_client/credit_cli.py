"""The bank's quarterly report on agricultural credit, from a CSV file to the credit office."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bank_client.cli_common import SETTINGS, Config, Json, session, show


def credit_report(
    file: Annotated[Path, typer.Argument(help="CSV by area; docs/supervision.md names its columns.", exists=True)],
    period: Annotated[str, typer.Option(help="The quarter at whose end these numbers stood, e.g. 2026Q2.")],
    corrects: Annotated[str, typer.Option(help="The digest of the report that this one takes the place of.")] = "",
    config: Config = SETTINGS,
    as_json: Json = False,
) -> None:
    """Report agricultural credit of a quarter by county or township, signed; amounts in whole yuan."""
    from models.supervision.credit import check_report, read_lines
    from models.supervision.messages import CreditFiled, CreditReport

    with session(config) as bank:
        lines = read_lines(file.read_bytes())
        report = CreditReport(bank=bank.config.institution, period=period, lines=lines, corrects=corrects)
        check_report(report, None)
        filed = bank.office.logged("/credit-reports", bank.sign(report), CreditFiled).answer
    facts = {"period": period, "lines": len(lines), "digest": filed.digest, "number": filed.number}
    account = f"{len(lines)} areas reported for {period}; a correction names {filed.digest}"
    show(facts, account, as_json)
