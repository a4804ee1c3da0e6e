"""The bank's commands: for its modellers (project, align, train, release, serve, score), its officers (check, village, desk);
with other banks: statistics, group.

Every command takes `--json` and then prints one object; otherwise progress goes to the error stream and a short account
to the output. A refusal ends with exit code 1 and says what was wrong and what to do next.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bank_client.cli_common import SETTINGS, Config, Json, plain_errors, read_rows, session, show, split_labels
from bank_client.credit_cli import credit_report
from bank_client.exposure_cli import exposure
from bank_client.group_cli import group
from bank_client.jobs_cli import jobs
from bank_client.models_cli import models
from bank_client.monitor_cli import monitor
from bank_client.private_cli import private_model
from bank_client.project_cli import ProjectId, project
from bank_client.report_cli import export, report
from bank_client.statistics_cli import statistics
from bank_client.village_cli import village
from models.durable import write_private

if TYPE_CHECKING:
    from bank_client.joint_scorecard import JointScorecard
    from bank_client.meanings import FieldMeaning
    from bank_client.session import Bank
    from models.records import CheckRecord

app = typer.Typer(no_args_is_help=True, help="The bank: keys, projects, joint scorecards, authorised checks.")
app.add_typer(project, name="project")
app.add_typer(village, name="village")
app.add_typer(jobs, name="jobs")
app.add_typer(models, name="models")
app.add_typer(statistics, name="statistics")
app.add_typer(group, name="group")
app.add_typer(exposure, name="exposure")
app.add_typer(private_model, name="private-model")

IdColumn = Annotated[str, typer.Option("--id", help="The column that holds subject ids.")]
LabelColumn = Annotated[str, typer.Option("--label", help="The column that holds labels, 1 for bad.")]
Csv = Annotated[Path, typer.Argument(help="A CSV file of the bank's own customers.", exists=True, dir_okay=False)]
Out = Annotated[Path, typer.Option("--out", "-o", help="Where to write the result.")]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A file that `train` or `release` wrote.", exists=True)]
Plots = Annotated[Path | None, typer.Option(help="A folder to draw plots into.")]
KeyFile = Annotated[Path, typer.Argument(help="Where to write the private key (mode 0600).")]
KeptCohort = Annotated[Path | None, typer.Option(help="A cohort that `align` wrote; by default the rows are aligned now.")]


@app.command()
def keygen(
    file: KeyFile,
    protect: Annotated[bool, typer.Option("--protect", help="Encrypt it under a passphrase, for the officer's desk.")] = False,
    of: Annotated[Path | None, typer.Option(help="With --protect: convert this key instead of making one.")] = None,
    passphrase_file: Annotated[Path | None, typer.Option(help="With --protect: read the passphrase here, do not ask.")] = None,
    as_json: Json = False,
) -> None:
    """Make a signing key; prints the public half, which the office enrols."""
    from bank_client.config import make_key
    from models.protected_keys import make_protected_key

    with plain_errors():
        if not protect and (of or passphrase_file):
            raise ValueError("--of and --passphrase-file go with --protect")
        made = make_protected_key(file, _passphrase(passphrase_file), of) if protect else make_key(file)
        public = b64encode(made).decode()
    show({"key_file": str(file), "public_key": public}, f"public key, for the credit office to enrol: {public}", as_json)


def _passphrase(file: Path | None) -> str:
    if file is not None:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    passphrase: str = typer.prompt("passphrase", hide_input=True, confirmation_prompt=True, err=True)
    return passphrase


@app.command()
def who(config: Config = SETTINGS, as_json: Json = False) -> None:
    """Show how the credit office knows you, and that both services answer."""
    with session(config) as bank:
        me, home, key = bank.me, bank.institution, b64encode(bank.public_key).decode()
        same = bank.public_key == me.key
        facts = {
            "person": me.id,
            "name": me.name,
            "role": str(me.role),
            "institution": home.name,
            "suspended": me.suspended or home.suspended,
            "key_is_enrolled": same,
            "second_approval": home.second_approval,
        }
        bank.node.client.get_raw("/healthz")
    state = "suspended" if facts["suspended"] else "in good standing"
    account = f"{me.name} ({me.id}), {me.role} of {home.name}, {state}; node and office answer"
    show(facts, account if same else f"{account}\nBUT the key in use, {key}, is not the enrolled one", as_json)


# -------------------------------------------------------------------- modellers


@app.command()
def align(
    identifier: ProjectId,
    file: Csv,
    identity: IdColumn,
    out: Out = Path("cohort.json"),
    config: Config = SETTINGS,
    as_json: Json = False,
) -> None:
    """Find the rows that bank and node both know, and keep them as a cohort."""
    from bank_client.alignment import align as run
    from bank_client.progress import bars

    with session(config) as bank, bars(as_json) as progress:
        cohort = run(bank, identifier, list(read_rows(file, identity).index), progress=progress)
        cohort.save(out)
        facts = {"cohort": cohort.id, "rows": cohort.rows, "asked": cohort.asked, "refused": cohort.refused} | _phases(bank)
    show(facts, f"{cohort.rows:,} of {cohort.asked:,} customers are aligned; kept in {out}", as_json)


@app.command()
def train(
    identifier: ProjectId,
    file: Csv,
    identity: IdColumn,
    label: LabelColumn,
    cohort: KeptCohort = None,
    max_bins: Annotated[int, typer.Option(min=2, max=20, help="Bins a column at most.")] = 20,
    out: Out = Path("trained.json"),
    plots: Plots = None,
    config: Config = SETTINGS,
    as_json: Json = False,
) -> None:
    """Train a joint scorecard up to figures that name no row; `release` follows, if they are good."""
    from bank_client.alignment import AlignedCohort
    from bank_client.joint_scorecard import JointScorecard
    from bank_client.progress import bars

    with session(config) as bank, bars(as_json) as progress:
        rows, labels = split_labels(read_rows(file, identity), label)
        aligned = AlignedCohort.load(cohort) if cohort else None
        model = JointScorecard(identifier, bank, aligned, max_bins=max_bins, progress=progress).fit(rows, labels)
        model.save(out)
        if plots:
            from bank_client.plots import draw_woe

            draw_woe(model, plots / "woe.png")
        facts = {"job": model.job_, "rows": model.cohort_.rows, "iv": model.iv_.round(4).to_dict(), "notes": list(model.notes_)}
        facts |= _phases(bank)
    strongest = "\n".join(f"  {name:<28} {value:.3f}" for name, value in model.iv_.head(10).items())
    show(facts, f"trained on {model.cohort_.rows:,} rows; information values:\n{strongest}\nkept in {out}", as_json)


@app.command()
def release(
    trained: Model,
    file: Csv,
    identity: IdColumn,
    label: LabelColumn,
    out: Out = Path("model.json"),
    parent: Annotated[str, typer.Option(help="The model that this one replaces.")] = "",
    plots: Plots = None,
    config: Config = SETTINGS,
    as_json: Json = False,
) -> None:
    """Have the node release its bands (spends budget), fit the bank's half, and register the card with the office."""
    with session(config) as bank:
        rows, labels = split_labels(read_rows(file, identity), label)
        model = _load(trained, bank).attach(rows, labels).release(parent).register()
        model.save(out)
        if plots:
            from bank_client.plots import draw_roc

            draw_roc({"joint, out of fold": (model.labels_, model.out_of_fold_)}, plots / "roc.png")
        figures = model.metrics_
        facts = {"model": model.model_id_, "bands": len(model.band_means_), "auc": figures.auc, "ks": figures.ks}
        facts |= {"leakage": model.leakage_.text().splitlines()} | _phases(bank)
    account = f"model {model.model_id_}: AUC {figures.auc}, KS {figures.ks} out of fold; the office decides on its card"
    show(facts, f"{account}\n{model.leakage_.text()}\nkept in {out}", as_json)


@app.command()
def serve(model: Model, config: Config = SETTINGS, as_json: Json = False) -> None:
    """Hand the office's approval of a model to the node, whose operator then builds the score table."""
    with session(config) as bank:
        table = _load(model, bank).serve()
    show({"table": table}, f"the node may now build {table}", as_json)


@app.command()
def score(
    model: Model, file: Csv, identity: IdColumn, out: Out = Path("scores.csv"), config: Config = SETTINGS, as_json: Json = False
) -> None:
    """Score customers and new, consented applicants; each new one is a private query under a ticket."""
    from bank_client.applicants import REFUSED, UNKNOWN
    from bank_client.progress import bars

    with session(config) as bank, bars(as_json) as progress:
        rows = read_rows(file, identity)
        fitted = _load(model, bank).set_params(progress=progress)
        explained = fitted.explain(rows)
        notes = {UNKNOWN: "the node has no record", REFUSED: "asking was refused"}
        scores = rows[[]].assign(
            probability=[one.probability for one in explained],
            points=[one.score for one in explained],
            band=[notes.get(band, band) for band in fitted.bands_of(rows.index).tolist()],
            reasons=["; ".join(reason.text for reason in one.reasons) for one in explained],
        )
        write_private(out, scores.to_csv().encode())
        scored = int(scores.probability.notna().sum())
        facts = {"rows": len(rows), "scored": scored, "file": str(out)} | _phases(bank)
    show(facts, f"{scored:,} of {len(rows):,} are scored, in {out}", as_json)


app.command()(report)
app.command()(export)


app.command()(monitor)
app.command()(credit_report)


# -------------------------------------------------------------------- officers


@app.command()
def desk(
    config: Annotated[Path, typer.Option("--config", help="The settings file of the branch.")] = Path("desk.toml"),
    check: Annotated[bool, typer.Option("--check", help="Only check settings and key files.")] = False,
    as_json: Json = False,
) -> None:
    """Serve the officers' desk of a branch to its browsers, until it is interrupted."""
    from bank_client.desk.settings import DeskConfig

    with plain_errors():
        settings = DeskConfig.load(config)
        settings.check_files()
    facts = {"address": settings.address, "people": len(settings.people)}
    show(facts, f"the desk of {len(settings.people)} people answers at {settings.address}", as_json)
    if not check:
        from bank_client.desk.app import serve

        serve(settings)


@app.command()
def check(
    identifier: ProjectId,
    subject: Annotated[str, typer.Option(prompt="subject id", hide_input=True, help="Asked for when it is not given.")],
    purpose: Annotated[str, typer.Option(help="loan-approval or post-loan.")] = "loan-approval",
    table: Annotated[str, typer.Option(help="A score table, to look up one applicant's score.")] = "",
    approver: Annotated[Path | None, typer.Option(help="Settings file of the second person who approves.")] = None,
    language: Annotated[str, typer.Option(help="In which language fields are explained: en or zh.")] = "en",
    config: Config = SETTINGS,
    as_json: Json = False,
) -> None:
    """Look at one consented subject's record; the receipt is kept for `xinqiao verify --receipt`."""
    from contextlib import nullcontext

    import msgspec

    from bank_client.checks import authorised_check
    from bank_client.meanings import meanings, stated_catalogue

    if language not in ("en", "zh"):
        raise typer.BadParameter("fields are explained in en or zh")
    with session(config) as bank, session(approver) if approver else nullcontext() as second:
        known = meanings(stated_catalogue(bank), "zh" if language == "zh" else "en")
        found = authorised_check(bank, identifier, subject, purpose, approver=second, table=table)
    assert found.result.leaf is not None
    facts = {"record": msgspec.to_builtins(found.record), "leaf": found.result.leaf.index, "epoch": found.result.epoch}
    facts |= {"receipt": str(found.receipt_file), "entry": str(found.entry_file)}
    record = "\n".join(_lines(found.record, known)) if found.record else "  the node has no record"
    show(facts, f"{record}\nleaf {found.result.leaf.index} of the node's log; receipt in {found.receipt_file}", as_json)


def _lines(record: CheckRecord, known: Mapping[str, FieldMeaning]) -> Iterator[str]:
    """Each value with its meaning, department and day; what is disputed says so."""
    for name, value in record.fields.items():
        meaning = known.get(name)
        line = f"  {name:<28} {value if meaning is None else meaning.words(value)}"
        if meaning is not None:
            source = record.sources.get(meaning.category)
            line += f"  ({meaning.label}" + (f"; {source.department}, {source.as_of})" if source else ")")
        yield line + ("  DISPUTED: it may be wrong" if name in record.disputed else "")


# -------------------------------------------------------------------- what all of them share


def _load(file: Path, bank: Bank) -> JointScorecard:
    from bank_client.joint_scorecard import JointScorecard

    return JointScorecard.load(file, bank)


def _phases(bank: Bank) -> dict[str, Any]:
    return {"phases": {name: vars(phase) for name, phase in bank.phases.items()}}
