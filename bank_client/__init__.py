"""The bank's side: the SDK, the officer's desk, the command line.

    from bank_client import Bank, JointScorecard

    bank = Bank("bank.toml")
    model = JointScorecard("spring-loans", bank=bank).fit(X, y)     # X indexed by subject id
    model.release()
    model.predict_proba(X)

What is exported is imported when it is first used, so that `xinqiao bank --help` loads no numerics.
"""

import runpy
from importlib import import_module
from typing import TYPE_CHECKING

__distribution__ = "xinqiao"

runpy.run_path(f"{__path__[0]}/../models/_ownership.py")["require_own"](__file__, "crypto", "models", "audit")

if TYPE_CHECKING:
    from bank_client.alignment import AlignedCohort, align
    from bank_client.batch import BatchSummary, VillageBatch
    from bank_client.binning import WoeBinning
    from bank_client.checks import AuthorisedCheck, authorised_check
    from bank_client.config import BankConfig, ConfigError
    from bank_client.exposure import ExposureCheck, ExposureResult
    from bank_client.joint_scorecard import JointScorecard
    from bank_client.long_jobs import Cancelled, cancel_job
    from bank_client.private_query import CheckResult, PrivateQuery
    from bank_client.session import Bank

_EXPORTS = {
    "AlignedCohort": "alignment",
    "AuthorisedCheck": "checks",
    "Bank": "session",
    "BankConfig": "config",
    "BatchSummary": "batch",
    "Cancelled": "long_jobs",
    "CheckResult": "private_query",
    "ConfigError": "config",
    "ExposureCheck": "exposure",
    "ExposureResult": "exposure",
    "JointScorecard": "joint_scorecard",
    "PrivateQuery": "private_query",
    "VillageBatch": "batch",
    "WoeBinning": "binning",
    "align": "alignment",
    "authorised_check": "checks",
    "cancel_job": "long_jobs",
}

__all__ = [
    "AlignedCohort",
    "AuthorisedCheck",
    "Bank",
    "BankConfig",
    "BatchSummary",
    "Cancelled",
    "CheckResult",
    "ConfigError",
    "ExposureCheck",
    "ExposureResult",
    "JointScorecard",
    "PrivateQuery",
    "VillageBatch",
    "WoeBinning",
    "align",
    "authorised_check",
    "cancel_job",
]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
