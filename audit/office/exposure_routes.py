"""The office's endpoints of exposure checks."""

from __future__ import annotations

from audit.office.exposure import Exposure
from audit.office.exposure_dossiers import asked
from audit.office.exposure_releases import ExposureReleases
from audit.office.office import Office
from audit.service.gate import Gate
from models.exposure import AskExposure, AskExposureAsked, DemandOpening, OpenAnswer, ReleaseExposure, TagBorrowers
from models.logged import Empty
from models.parties import Role


def bind_exposure(gate: Gate, office: Office) -> None:
    """Declare them."""
    exposure, releases, post = Exposure(office), ExposureReleases(office), gate.logged
    officer, responder, auditor = {Role.LOAN_OFFICER}, {Role.RESPONDER}, {Role.AUDITOR}
    why = "which epoch of tags is the present one, and its public key; everyone who takes part must know"
    gate.unlogged("GET", "/exposures/epoch", roles=officer | responder, why=why)(exposure.epoch)
    post("POST", "/exposures/tags", action="exposure.tag", roles=responder, takes=TagBorrowers)(exposure.tag)
    post("POST", "/exposures", action="exposure.ticket", roles=officer, takes=AskExposure)(exposure.ask)
    post("POST", "/exposures/releases", action="exposure.release", roles=officer, takes=ReleaseExposure)(releases.release)
    post("POST", "/exposures/demands", action="exposure.demand", roles=auditor, takes=DemandOpening)(releases.demand)
    post("POST", "/exposures/asked", action="exposure.opened", roles=auditor, takes=AskExposureAsked)(asked)
    why = "a bank is told which of its own answers to open; demands and openings are logged"
    gate.unlogged("GET", "/exposures/demands", roles=responder, why=why)(releases.pending)
    post("POST", "/exposures/openings", action="exposure.open", roles=responder, takes=OpenAnswer)(releases.open)
    post("POST", "/exposures/{id}/demands", action="exposure.opened", roles=auditor, takes=Empty)(releases.demanded)
