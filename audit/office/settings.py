"""The office's settings: environment variables with the prefix ``XINQIAO_OFFICE_``; each is explained in docs/settings.md."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import SettingsConfigDict

from audit.service.settings import ServiceSettings
from audit.verifier.errors import FormatError
from audit.verifier.note import COSIGNATURE_V1, ED25519, VerifierKey
from models.catalogue import Catalogue, CatalogueError, default_catalogue
from models.scorecard.limits import Limits


class OfficeSettings(ServiceSettings):
    """What an operator decides. Limits may only be made stricter than the defaults."""

    model_config = SettingsConfigDict(env_prefix="XINQIAO_OFFICE_", extra="forbid")
    sqlite_file: ClassVar[str] = "office.sqlite"

    port: int = 8700
    public_url: str = "http://127.0.0.1:8700"
    log_origin: str = "office.xinqiao.local/log"
    """The origin line of this log's checkpoints; never change it once the log has begun."""
    witness_name: str = "office.xinqiao.local/witness"
    """The name under which the office cosigns the node's log."""
    node_url: str = ""
    """Where the node's service is; without it no manifest can be checked and this log is not cosigned."""
    node_log: str = ""
    """The verifier key (vkey) of the node's log: what the office cosigns, and what receipts are checked with."""
    node_witness: str = ""
    """The verifier key (vkey) with which the node cosigns this log; empty: nobody does."""
    catalogue: str = ""
    """A catalogue CSV, the same as the node's; empty: the packaged agricultural catalogue."""
    identity: Literal["national", "opaque"] = "national"
    """Whether the catalogue's subjects are keyed by national codes or by opaque ids; as the node has it."""
    proof_threads: Annotated[int, Field(ge=1, le=256)] = 2
    """Threads that verify the proofs of one bulk request."""
    ticket_minutes: Annotated[int, Field(ge=1, le=10)] = 10
    """Longest life of an officer's ticket."""
    bulk_hours: Annotated[int, Field(ge=1, le=24)] = 24
    """Longest life of a modeller's tickets and of an alignment."""
    aligned_ratio: Annotated[float, Field(gt=0, le=1.2)] = 1.2
    """Distinct subjects a bank may align in a year, as a multiple of its declared customers."""
    label_vectors: Annotated[int, Field(ge=1, le=5)] = 5
    """Different label vectors on one cohort within a year."""

    @field_validator("node_log", "node_witness")
    @classmethod
    def _is_verifier_key(cls, vkey: str, info: ValidationInfo) -> str:
        wanted = ED25519 if info.field_name == "node_log" else COSIGNATURE_V1
        try:
            if vkey and VerifierKey.parse(vkey).algorithm != wanted:
                raise ValueError("a log's verifier key has type 0x01 and a witness's type 0x04: two keys were mixed up")
        except FormatError as error:
            raise ValueError(str(error)) from None
        return vkey

    @field_validator("catalogue")
    @classmethod
    def _is_catalogue(cls, path: str) -> str:
        try:
            if path:
                Catalogue.from_csv(Path(path))
        except (CatalogueError, OSError) as error:
            raise ValueError(f"the catalogue cannot be used: {error}") from None
        return path

    @property
    def limits(self) -> Limits:
        """The limits on a joint scorecard's inputs."""
        return Limits(label_vectors=self.label_vectors)

    @cached_property
    def fields(self) -> Catalogue:
        """The catalogue that projects are filed under."""
        return Catalogue.from_csv(Path(self.catalogue), identity=self.identity) if self.catalogue else default_catalogue()

    @property
    def node_log_key(self) -> VerifierKey | None:
        """The key that verifies the node's log."""
        return VerifierKey.parse(self.node_log) if self.node_log else None

    @property
    def node_witness_key(self) -> VerifierKey | None:
        """The key that verifies the node's cosignatures."""
        return VerifierKey.parse(self.node_witness) if self.node_witness else None
