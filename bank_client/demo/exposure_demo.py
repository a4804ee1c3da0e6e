"""What one applicant owes at four other banks: the demonstration's banks, books and services, all of it invented."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bank_client.demo.county_job import MODELLER, OFFICER, CountyJob
from bank_client.demo.job import new_consent
from bank_client.exposure import ExposureCheck, ExposureResult
from bank_client.exposure_responder import Responder, answering
from models.consents import ConsentKind, Purpose
from models.exposure import TABLE
from models.parties import Institution, InstitutionKind, Role
from models.projects import ProjectKind
from models.wire import replace

OTHERS = {"qingshui-bank": "48000", "nongxin-bank": "0", "yunling-bank": "120500.50", "postal-bank": "0"}
"""The other banks, and what the applicant owes at each, yuan."""
NAMES = {
    "qingshui-bank": "清水村镇银行",
    "nongxin-bank": "云禾农信联社",
    "yunling-bank": "云岭银行",
    "postal-bank": "云禾邮储支行",
}


def enrol_others(job: CountyJob) -> None:
    """The clerk enrols the other banks, each with its answering service."""
    for name in OTHERS:
        bank = Institution(
            id=name, name=f"{NAMES[name]}（虚构）", kind=InstitutionKind.BANK, licence=name, declared_customers=1_000
        )
        job.town.enrol_institution(bank)
        job.town.enrol(f"{name}/exposure", f"{NAMES[name]}应答服务", Role.RESPONDER)


def check_exposure(job: CountyJob, subject: str) -> ExposureResult:
    """The officer asks what a consented applicant owes elsewhere, while the four banks answer by themselves."""
    with _answering(job, subject), job.town.bank(OFFICER) as officer:
        kinds = (ConsentKind.COLLECTION, ConsentKind.QUERY)
        job.main.consent([replace(new_consent(subject, kind), field_sets=(TABLE,)) for kind in kinds])
        project = job.main.project(
            MODELLER, ProjectKind.EXPOSURE, "exposure of applicants", (), purpose=Purpose.LOAN_APPROVAL, checks=100
        )
        return ExposureCheck(officer, project).ask(subject)


@contextmanager
def _answering(job: CountyJob, subject: str) -> Iterator[None]:
    with ExitStack() as stack:
        responders = []
        for name, amount in OTHERS.items():
            book = job.town.folder / f"{name}.csv"
            book.write_text(f"id,amount\n{subject.split(':', maxsplit=1)[1]},{amount}\n", encoding="utf-8")
            responders.append(Responder(stack.enter_context(job.town.bank(f"{name}/exposure")), book, id_column="id"))
        stack.enter_context(answering(responders, every=0.1))
        yield
