"""A fit whose every answer is lost once goes on at each request, over real HTTP, and is one training to everybody."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

from bank_client import JointScorecard
from bank_client.alignment import align
from models import wire
from models.consents import ConsentKind, Purpose
from models.http_client import SignedClient
from models.problems import PeerUnavailable
from models.projects import ProjectKind
from models.scorecard.schemes import SCHEMES, Scheme
from tests.services import FIELDS, MODELLER, services

ROWS = 1_010
ANSWERS = 2 * 4 + 3  # in each round inputs, open, product and answer; the job, the replay and the verdict


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_answer_of_a_training_may_be_lost_once(tmp_path: Path, scheme: Scheme) -> None:
    rng = random.Random(4)
    customers = [f"c{n:04d}" for n in range(ROWS)]
    lost: dict[tuple[str, str], bytes] = {}
    logged = SignedClient.logged

    def losing(client: SignedClient, path: str, message: Any, answer: Any, *, key: str | None = None, **rest: Any) -> Any:
        reply = logged(client, path, message, answer, key=key, **rest)
        assert key is not None, "a request that may be repeated names itself"
        if (path, key) not in lost:
            lost[path, key] = wire.encode(reply.answer)
            raise PeerUnavailable("no answer")
        assert lost[path, key] == wire.encode(reply.answer)
        return reply

    with services(tmp_path, node_settings={"masked_product": scheme}) as pair:
        values = {i: {f: round(rng.gauss(0, 1), 2) for f in FIELDS} for i in customers}
        pair.load(list(values.items()))
        pair.willing([f"opaque:{i}" for i in customers], ConsentKind.MODELLING)
        pair.open_project("joint", kind=ProjectKind.JOINT_SCORECARD, purpose=Purpose.LOAN_APPROVAL)
        with pair.bank(MODELLER) as bank:
            cohort = align(bank, "joint", customers)
            X = pd.DataFrame({"own": [rng.gauss(0, 1) for _ in customers]}, index=pd.Index(customers))
            # every field says as much as any other, so that bands tell little of one: the training is always released
            y = np.array([sum(values[i].values()) + rng.gauss(0, 1) > 1.5 for i in customers], dtype=np.uint8)
            model = JointScorecard("joint", bank, cohort, max_bins=3)
            with pytest.raises(ValueError, match="no training of this model stopped"):
                model.resume()
            stops = 1
            with patch.object(SignedClient, "logged", losing):
                with pytest.raises(PeerUnavailable) as caught:
                    model.fit(X, y)
                assert "Call resume" in caught.value.next_step
                while not hasattr(model, "figures_"):
                    try:
                        model.resume()
                    except PeerUnavailable:
                        stops += 1
            assert stops == len(lost) == ANSWERS
            assert model.figures_.usable
            actions = [leaf["action"] for leaf in pair.leaves()]
            assert actions.count("job.open") == actions.count("job.figures") == 1
            assert actions.count("round.product") == 2
            with pytest.raises(ValueError, match="no training of this model stopped"):
                model.resume()
            assert model.release().card_.node.job == model.job_
            assert model.plan_.scheme == scheme
            assert ("Paillier" in model.leakage_.text()) is (scheme == "paillier")
