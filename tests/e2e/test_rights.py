"""A borrower proves, from the office's and the node's word, that a model was trained on their row."""

from __future__ import annotations

import pytest

from audit.verifier.cohorts import verify_alignment_use, verify_cohort_row
from bank_client.demo.town import FIRST_CLERK
from models import wire
from models.archives import Archive, Archived, AskArchive, Ground, ModelUses
from models.rights import AlignmentUses, AskSubject
from models.wire import Signed
from tests.e2e.conftest import MainRun
from tests.e2e.village import NODE_FIELDS, Village

pytestmark = pytest.mark.e2e


def test_a_borrower_proves_which_model_used_their_row(place: Village, run: MainRun) -> None:
    borrower = f"opaque:{place.borrowers[0]}"
    office, node = (place.town.client(FIRST_CLERK, service) for service in ("office", "node"))
    leave = office.logged("/archives", AskArchive(subject=borrower, ground=Ground.OWN_ARCHIVE), Signed).answer
    shown = node.logged("/archives", leave, Archived).answer
    archive = wire.decode(shown.archive.payload, Archive)
    [cohort] = [one for one in archive.cohorts if one.cohort == run.model.cohort_.id]
    verify_cohort_row(cohort)
    [use] = [use for use in archive.models if use.model == run.model.model_id_]
    assert use.cohort_root == cohort.root.hex() == run.model.cohort_.root.hex()
    assert set(use.fields) <= set(NODE_FIELDS)
    listed = wire.decode(shown.uses.payload, ModelUses)
    assert [(one.model, one.band) for one in listed.of_field(use.fields[0])] == [(use.model, -1)]
    assert listed.of_field("no field") == ()
    uses = office.logged("/cohorts", AskSubject(subject=borrower), AlignmentUses).answer.alignments
    [filed] = [one for one in uses if one.project == run.model.project]
    verify_alignment_use(borrower, filed)
    assert use.model in {line.model for line in filed.models if line.cohort_root == use.cohort_root}
