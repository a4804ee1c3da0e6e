"""The demonstration's account: who did what, what each side learned, figures, and what the logs' verifier found."""

from __future__ import annotations

import json
import time
from importlib.util import find_spec
from pathlib import Path

from bank_client.checks import AuthorisedCheck
from bank_client.demo.county_job import MODELLER, OFFICER, CountyJob
from bank_client.demo.job import LogState
from bank_client.joint_scorecard import JointScorecard
from bank_client.plots import draw_roc, draw_woe
from bank_client.session import Bank
from models.county import SYNTHETIC
from models.supervision.messages import Shown

TOP_FIELDS = 8
PAILLIER = find_spec("phe") is not None
BFV = find_spec("tenseal") is not None


def tell(job: CountyJob, out: Path, started: float) -> bool:
    """Run every step of the main job and tell it; plots, receipt and account go to `out`. True if all is as it must be."""
    say = job.say
    _tell_enrolment(job)
    say("2  The data bureau's steward delivers the departments' files")
    loaded = job.deliver()
    say(f"   {loaded:,} rows loaded; {job.quarantined} set aside with reasons")
    say("3  The office files consents, withdrawals, objections and repairs")
    _tell_filing(job)

    say(f"4  The bank's modeller ({MODELLER}) aligns customers and trains; the office replays the bank's inputs")
    with Bank(job.town.bank_config(MODELLER)) as bank:
        model = job.train(bank)
        _tell_training(job, model)
        say("5  Card signed by both sides, approved by the office; the node opens the model's score table")
        manifest = job.main.serve(model)
        say(f"   {manifest.columns:,} columns of {manifest.rows:,} bytes, sealed by the office")
        say("6  New applicants are scored by private queries: the node does not learn whom")
        found = job.compare(model)
        say(f"   {found['scored']} scored, {found['refused']} not")
        say(f"   bank alone  AUC {found['auc_alone']:.3f}  KS {found['ks_alone']:.3f}")
        say(f"   jointly     AUC {found['auc_joint']:.3f}  KS {found['ks_joint']:.3f}")
        phases = dict(bank.phases)
    note = SYNTHETIC
    labels = found["labels"]
    roc = draw_roc({"bank alone": (labels, found["alone"]), "jointly": (labels, found["joint"])}, out / "roc.png", note)
    woe = draw_woe(model, out / "woe.png", note)

    say(f"7  A loan officer ({OFFICER}) checks one consented applicant by a private query")
    project, _ = job.check_project()
    subject, checked = job.check(project)
    _tell_check(job, checked)
    _tell_more(job, subject)
    say("   refused, each with a leaf in the log:")
    refusals = job.refusals(project, subject)
    for what, how in refusals:
        say(f"     {what:<20} {how}")
    accesses = job.who_looked(subject).accesses
    say("8  A farmer asks the office: who looked at me?")
    for access in accesses:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(access.at))
        say(f"   {when}  {access.bank}, {access.officer}, {access.purpose}: {access.outcome}")
    say("9  Node and bank state what a supervisor needs; the figures of the year are counted from the log")
    _tell_figures(job)
    say("10 Both logs are verified from outside, with public keys alone")
    logs = job.main.verify()
    for log in logs:
        say(f"   {log.name:<7} {log.leaves:,} leaves: {log.detail}")

    say("\nWhat each side learned from the training")
    for line in model.leakage_.text().splitlines():
        say(f"   {line}")
    say("\nSeconds and bytes of the bank's requests")
    for name, phase in phases.items():
        say(f"   {name:<10} {phase.seconds:7.1f} s   {phase.bytes_up / 1e6:8.2f} MB up   {phase.bytes_down / 1e6:8.2f} MB down")
    say(f"   whole run  {time.perf_counter() - started:7.1f} s")
    say(f"\nPlots: {roc}, {woe}")
    ok = _all_right(found["auc_joint"] > found["auc_alone"], checked.record is not None, refusals, logs, bool(accesses))
    _keep(out, model, found, logs, ok=ok)
    return ok


def _tell_enrolment(job: CountyJob) -> None:
    job.say("\n1  The credit office enrols institutions and people, each with a key and one role")
    job.enrol()
    if PAILLIER:
        from bank_client.demo.exposure_demo import enrol_others

        enrol_others(job)


def _tell_filing(job: CountyJob) -> None:
    job.say(f"   {job.file_consents():,} consents, {len(job.revoked)} withdrawn")
    withheld = sum(objection.withheld for objection in job.objections)
    job.say(f"   {len(job.objections) - withheld} fields or records are marked as disputed in checks")
    job.say(f"   {withheld} withheld and {job.repaired} repaired ones are not shown at all")


def _tell_check(job: CountyJob, checked: AuthorisedCheck) -> None:
    if checked.record is not None:
        days = ", ".join(sorted({source.as_of for source in checked.record.sources.values()}))
        job.say(f"   {len(checked.record.fields)} fields from {len(checked.record.sources)} categories of data, as of {days}")
    job.say(f"   receipt {checked.receipt_file.name}")


def _tell_figures(job: CountyJob) -> None:
    found = job.supervise()
    hidden = sum(figure.shown in (Shown.HIDDEN, Shown.FEW) for figure in found.figures)
    job.say(f"   {len(found.figures)} figures of {found.year}, {hidden} of them too small to be shown; no person is in any")


def _tell_more(job: CountyJob, subject: str) -> None:
    _tell_exposure(job, subject)
    _tell_own_model(job, subject)


def _tell_exposure(job: CountyJob, subject: str) -> None:
    if not PAILLIER:
        job.say("   what is owed at other banks is not asked: that needs the extra `paillier`")
        return
    from bank_client.demo.exposure_demo import check_exposure

    found = check_exposure(job, subject)
    of = f"{found.banks} of {len(found.answered)} other banks"
    job.say(f"   owes {found.amount:,} yuan at {of}; nobody is told at which")


def _tell_own_model(job: CountyJob, subject: str) -> None:
    if not BFV:
        job.say("   the bank's own scorecard is not tried: that needs the extra `private-model`")
        return
    from bank_client.demo.private_demo import score_by_own_model

    found = score_by_own_model(job, subject)
    job.say(f"   scores {found.score.score} by the bank's own model: {found.fields} weights that the node never saw")


def _tell_training(job: CountyJob, model: JointScorecard) -> None:
    cohort = model.cohort_
    job.say(f"   {cohort.rows:,} of {cohort.asked:,} customers aligned; {len(model.band_means_)} bands released")
    strongest = ", ".join(f"{name} {iv:.2f}" for name, iv in model.iv_.head(TOP_FIELDS).items())
    job.say(f"   strongest fields by IV: {strongest}")
    leak = model.leakage_
    job.say(f"   what the bands say about one node column: R² at most {leak.r2_most} (limit {leak.r2_most_allowed})")


def _all_right(better: bool, record: bool, refusals: list[tuple[str, str]], logs: list[LogState], accesses: bool) -> bool:
    refused = all(how.startswith("403") for _, how in refusals)
    return better and record and refused and accesses and all(log.ok for log in logs)


def _keep(out: Path, model: JointScorecard, found: dict[str, object], logs: list[LogState], *, ok: bool) -> None:
    figures = {key: value for key, value in found.items() if isinstance(value, int | float)}
    summary = {
        "synthetic": SYNTHETIC,
        "ok": ok,
        "figures": figures,
        "leaves": {log.name: log.leaves for log in logs},
        "iv": {str(name): float(iv) for name, iv in model.iv_.items()},
    }
    (out / "account.json").write_text(json.dumps(summary, ensure_ascii=False, indent=2), encoding="utf-8")
