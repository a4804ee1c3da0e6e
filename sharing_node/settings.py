"""The node's settings: environment variables with the prefix ``XINQIAO_NODE_``; each is explained in docs/settings.md."""

from __future__ import annotations

import base64
from typing import Annotated, ClassVar, Literal, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from audit.log.witnesses import KnownWitness
from audit.service.settings import ServiceSettings
from models.scorecard.schemes import Scheme, installed
from sharing_node.epochs.schedule import Nightly


class NodeSettings(ServiceSettings):
    """What an operator decides. Limits may only be made stricter than the defaults."""

    model_config = SettingsConfigDict(env_prefix="XINQIAO_NODE_", extra="forbid")
    sqlite_file: ClassVar[str] = "node.sqlite"

    port: int = 8701
    public_url: str = "http://127.0.0.1:8701"
    office_url: str
    """Where the credit office's service is."""
    office_key: str
    """The office's statement key: base64 of the 32 raw Ed25519 bytes. What it signs is believed, nothing else."""
    office_witness: str
    """The verifier key (vkey) with which the office cosigns this log, and its address where not below ``office_url``."""
    log_origin: str = "node.xinqiao.local/log"
    """The origin line of this log's checkpoints; never change it once the log has begun."""
    witness_name: str = "node.xinqiao.local/witness"
    """The name under which the node cosigns the office's log."""
    office_log: str = ""
    """The verifier key (vkey) of the office's log, which the node then cosigns; empty: it does not."""
    catalogue: str = ""
    """A catalogue CSV; empty: the packaged agricultural catalogue."""
    identity: Literal["national", "opaque"] = "national"
    """Whether subjects are keyed by national codes or, for data sets without them, by opaque ids."""
    epoch_hours: Annotated[int, Field(ge=1, le=24)] = 24
    """How long an epoch's table is served; at most 24."""
    grace_minutes: Annotated[int, Field(ge=0, le=120)] = 15
    """How long tickets of the epoch before are still answered once the next one is open."""
    nightly_at: str = "02:00"
    """The hour at which tables in use are rebuilt; empty: only when an operator asks."""
    time_zone: str = ""
    """The time zone of that hour, e.g. ``Asia/Shanghai``; empty: the machine's own."""
    builder: Literal["on", "off"] = "on"
    """Whether `serve` starts a builder beside itself; ``off`` where ``xinqiao node builder`` runs elsewhere."""
    build_backend: Literal["loky", "threading", "dask"] = "loky"
    """What a build's parts run on: processes, threads, or a Dask cluster that shares the data folder."""
    build_jobs: Annotated[int, Field(ge=0, le=1024)] = 0
    """Parts of a build at a time; 0: as many as there are cores."""
    build_scheduler: str = ""
    """The address of the Dask scheduler, for ``dask``."""
    checks_per_epoch: Annotated[int, Field(ge=1, le=200_000)] = 200_000
    """Evaluations a bank may have for one epoch of a table."""
    column_passes: Annotated[int, Field(ge=1, le=16)] = 1
    """Passes over a matrix that a process makes at once; each uses all cores."""
    column_requests: Annotated[int, Field(ge=1, le=1024)] = 32
    """Requests for columns that wait in one process."""
    masked_product: Scheme = "lwe"
    """What trainings are under: ``lwe``, or ``paillier`` for who asks for a standardised scheme."""
    cohort_minimum: Annotated[int, Field(ge=1000)] = 1000
    """Fewest rows of a cohort."""
    column_r_squared: Annotated[float, Field(gt=0, le=0.70)] = 0.70
    """Largest R² of one column on all released bands."""
    mean_r_squared: Annotated[float, Field(gt=0, le=0.45)] = 0.45
    """Largest average R² over the columns."""

    exposure_seconds: Annotated[int, Field(ge=2, le=300)] = 20
    """How long banks may answer an exposure check."""

    @model_validator(mode="after")
    def _builds(self) -> Self:
        Nightly.parse(self.nightly_at, self.time_zone)
        if (self.build_backend == "dask") != bool(self.build_scheduler):
            raise ValueError("a build on Dask needs the scheduler's address, and nothing else does")
        return self

    @model_validator(mode="after")
    def _trains(self) -> Self:
        if not installed(self.masked_product):
            raise ValueError("trainings under Paillier need the extra `paillier`: install xinqiao[paillier], or set lwe")
        return self

    @property
    def log_witnesses(self) -> tuple[KnownWitness, ...]:
        """Who cosigns this log: the office first, then the further ones; ValueError where a setting is no witness."""
        return (KnownWitness.parse(self.office_witness, f"{self.office_url}/witness"), *self.further_witnesses)

    def office_public_key(self) -> Ed25519PublicKey:
        """The key that verifies the office's statements; ValueError where the setting is no such key."""
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(self.office_key, validate=True))
