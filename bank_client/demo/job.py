"""The main job's steps by the people who do them, the same for the county and for any two CSV files."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from audit.verifier.errors import LogError
from audit.verifier.log_check import check_log, http_fetch
from audit.verifier.note import VerifierKey
from bank_client.demo.town import FIRST_CLERK, Town
from bank_client.joint_scorecard import JointScorecard
from models import wire
from models.approvals import ActKind
from models.consents import Capture, Consent, ConsentKind, FileConsents, Filed
from models.loads import LoadReport
from models.logged import Empty
from models.problems import Unusable
from models.projects import Decision, Project, ProjectKind, ProjectStatus
from models.tables import BuildState, BuildTable, Manifest, ModelStatus, SealedManifest

CONSENTS_A_REQUEST = 20_000
YEAR = 365 * 24 * 3600
LOOK_SECONDS = 0.1

Say = Callable[[str], None]
"""Takes one line of the account."""


def quiet(_line: str) -> None:
    """Says nothing."""


@dataclass(frozen=True)
class LogState:
    """A log as its verifier found it."""

    name: str
    leaves: int
    ok: bool
    detail: str


class MainJob:
    """Acts for clerk, steward and operator in a running town.

    Args:
        town: started.
        steward: id of who delivers data.
        operator: id of who builds epochs.
        say: takes the account's lines.
    """

    def __init__(self, town: Town, *, steward: str, operator: str, say: Say = quiet) -> None:
        self.town = town
        self.steward = steward
        self.operator = operator
        self.say = say
        self.clerk = town.client(FIRST_CLERK, "office")

    def load(self, file: Path, field_set: str, as_of: str, identity_column: str = "") -> LoadReport:
        """The steward delivers one department's file."""
        query = {"field_set": field_set, "as_of": as_of, "name": file.name}
        if identity_column:
            query["identity_column"] = identity_column
        client = self.town.client(self.steward, "node")
        return client.logged_raw(f"/loads?{urlencode(query)}", file.read_bytes(), "text/csv", LoadReport).answer

    def consent(self, consents: Sequence[Consent]) -> int:
        """The clerk files consents, in chunks."""
        filed = 0
        for start in range(0, len(consents), CONSENTS_A_REQUEST):
            chunk = tuple(consents[start : start + CONSENTS_A_REQUEST])
            filed += self.clerk.logged("/consents", FileConsents(consents=chunk), Filed).answer.count
        return filed

    def project(self, modeller: str, kind: ProjectKind, title: str, fields: Sequence[str], *, purpose: str, checks: int) -> str:
        """The modeller files a project, the clerk approves it; its id."""
        now = int(time.time())
        project = Project(
            id=f"{kind}-{secrets.token_hex(4)}",
            bank=modeller.split("/", maxsplit=1)[0],
            kind=kind,
            title=title,
            purpose=purpose,
            fields=tuple(fields),
            valid_from=now - 60,
            valid_to=now + YEAR,
            requested_by=modeller,
            checks=checks,
        )
        self.town.client(modeller, "office").logged("/projects", project, Empty)
        decision = Decision(subject=project.id, approve=True, reason="within the plan for inclusive rural credit")
        self.clerk.logged(f"/projects/{project.id}/decision", decision, ProjectStatus)
        return project.id

    def serve(self, model: JointScorecard) -> Manifest:
        """Card signed by both sides, the clerk's approval, and the first epoch of the score table."""
        model.register()
        decision = Decision(subject=model.model_id_, approve=True, reason="card complete, within all limits")
        path = f"/models/{model.model_id_}/decision"
        self.town.act(ActKind.MODEL_APPROVE, path, decision, ModelStatus, decision.reason)
        return self.build(model.serve())

    def build(self, table: str) -> Manifest:
        """The operator asks for the next epoch of a table; it opens under the office's seal."""
        client = self.town.client(self.operator, "node")
        state = client.logged(f"/tables/{table}/epochs", BuildTable(table=table), BuildState).answer
        while state.state != "open":
            if state.state == "failed":
                raise Unusable(f"the node could not build {table}: {state.detail}")
            time.sleep(LOOK_SECONDS)
            state = client.get(f"/tables/{table}/builds/{state.epoch}", BuildState)
        return wire.decode(client.get(f"/tables/{table}/manifest", SealedManifest).manifest.payload, Manifest)

    def verify(self) -> list[LogState]:
        """Check both logs from outside, with their public keys alone."""
        town = self.town
        return [
            _verify("node", f"{town.node.url}/log", town.node_keys["log"], town.cosigners("node")),
            _verify("office", f"{town.office.url}/log", town.office_keys["log"], town.cosigners("office")),
        ]


def new_consent(subject: str, kind: ConsentKind, recipient: str = "*", purpose: str = "*", years: int = 3) -> Consent:
    """A consent from now on, as the demonstration's clerk files it."""
    now = int(time.time())
    return Consent(
        id=secrets.token_hex(12),
        subject=subject,
        kind=kind,
        recipient=recipient,
        purposes=(purpose,),
        field_sets=("*",),
        valid_from=now - 60,
        valid_to=now + years * YEAR,
        capture=Capture.WINDOW,
        evidence_digest=secrets.token_hex(32),
    )


def _verify(name: str, prefix: str, vkey: str, witnesses: Sequence[str]) -> LogState:
    try:
        keys = [VerifierKey.parse(witness) for witness in witnesses]
        report = check_log(http_fetch(prefix), [VerifierKey.parse(vkey)], keys, quorum=len(keys))
    except (LogError, OSError) as error:
        return LogState(name, 0, ok=False, detail=str(error))
    return LogState(name, report.size, ok=True, detail="every leaf, tile and cosignature holds")
