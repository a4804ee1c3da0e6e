"""The office's settings: environment variables with the prefix ``XINQIAO_OFFICE_``; each is explained in docs/settings.md."""

from __future__ import annotations

import re
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import SettingsConfigDict

from audit.log.witnesses import KnownWitness
from audit.office.records import parse_periods
from audit.service.settings import ServiceSettings
from audit.verifier.errors import FormatError
from audit.verifier.note import ED25519, VerifierKey
from models.approvals import ActKind
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
    """The name under which the office cosigns the node's log, where this service does it itself."""
    own_witness: str = ""
    """The office's witness where it is a process of its own: ``vkey address``; empty: this service cosigns itself."""
    node_url: str = ""
    """Where the node's service is; without it no manifest can be checked and this log is not cosigned."""
    node_log: str = ""
    """The verifier key (vkey) of the node's log: what the office cosigns, and what receipts are checked with."""
    node_witness: str = ""
    """The verifier key (vkey) with which the node cosigns this log, and its address where not below ``node_url``."""
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
    review_days: Annotated[int, Field(ge=1, le=365)] = 365
    """Days that a model serves from its approval on before it must be reviewed."""
    overlap_days: Annotated[int, Field(ge=0, le=90)] = 30
    """Days that a model serves on after one that replaces it was approved."""

    officer_checks: Annotated[int, Field(ge=1, le=1_000_000)] = 300
    """Tickets of single questions that one loan officer is given in a day."""
    bank_checks: Annotated[int, Field(ge=1, le=100_000_000)] = 200_000
    """Tickets of all kinds that one bank is given in a day."""
    epoch_checks: Annotated[int, Field(ge=1, le=100_000_000)] = 500_000
    """Tickets of all kinds that are given for one epoch of one table."""
    time_zone: str = "Asia/Shanghai"
    """Where a day of these budgets begins, and what the open hours are told in."""
    open_hours: str = "07:00-21:00"
    """When loan officers work; single questions at other times raise an alarm."""
    burst_checks: Annotated[int, Field(ge=1)] = 30
    """Single questions of one officer within ten minutes that raise no alarm yet."""
    walk_subjects: Annotated[int, Field(ge=1)] = 60
    """Distinct subjects of one region that an officer asks about within 24 hours, outside of a batch, without an alarm."""
    refused_questions: Annotated[int, Field(ge=1)] = 30
    """Refused questions of one officer in a day that raise no alarm yet."""
    unconsented_share: Annotated[float, Field(gt=0, le=1)] = 0.3
    """Share of subjects without consent among a person's bulk questions of a day that raises no alarm yet."""
    unconsented_from: Annotated[int, Field(ge=1)] = 100
    """Bulk questions of a day from which that share is judged."""
    notice_days: Annotated[int, Field(ge=0, le=366)] = 30
    """Days before its end from which a consent is said to end soon."""
    report_days: Annotated[int, Field(ge=1, le=366)] = 30
    """Days after which a granted check without a report is shown as overdue."""

    second_clerk: str = ",".join(ActKind)
    """What needs a second clerk, separated by commas, once there are two; empty: nothing."""
    budget_factor: Annotated[float, Field(ge=1, le=1000)] = 2.0
    """Raises of a project's budget beyond this many times what was approved need a second clerk."""

    exposure_days: Annotated[int, Field(ge=1, le=31)] = 7
    """Days of an epoch of the tags by which exposure checks are addressed."""
    exposure_memory_days: Annotated[int, Field(ge=30, le=3660)] = 30
    """Days for which two sums about one subject may not differ by one or two banks."""

    retention: str = ""
    """Days for which classes of records are kept once their matter is over, where not the default: ``class=days, …``."""

    reconcile_at: str = "02:30"
    """When, in the time zone above, the days that are over are reconciled."""
    reconcile_days: Annotated[int, Field(ge=1, le=366)] = 7
    """How many days back a reconciliation is still made good that could not be made, or not to its end."""

    @field_validator("reconcile_at")
    @classmethod
    def _is_time_of_day(cls, time: str) -> str:
        if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", time):
            raise ValueError("a time of the day is written as 02:30")
        return time

    @field_validator("retention")
    @classmethod
    def _are_periods(cls, text: str) -> str:
        parse_periods(text)
        return text

    @field_validator("second_clerk")
    @classmethod
    def _are_acts(cls, names: str) -> str:
        unknown = {name.strip() for name in names.split(",") if name.strip()} - set(ActKind)
        if unknown:
            raise ValueError(f"the acts are {', '.join(ActKind)}; not {', '.join(sorted(unknown))}")
        return names

    @field_validator("time_zone")
    @classmethod
    def _is_time_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError("the time zone is a name of the IANA database, such as Asia/Shanghai") from None
        return name

    @field_validator("open_hours")
    @classmethod
    def _is_period_of_a_day(cls, hours: str) -> str:
        parts = re.fullmatch(r"(\d\d):([0-5]\d)-(\d\d):([0-5]\d)", hours)
        if parts is None or not _minutes(hours[:5]) < _minutes(hours[6:]) <= 24 * 60:
            raise ValueError("the open hours are two times of one day, the earlier one first, such as 07:00-21:00")
        return hours

    @field_validator("node_log")
    @classmethod
    def _is_log_key(cls, vkey: str) -> str:
        try:
            if vkey and VerifierKey.parse(vkey).algorithm != ED25519:
                raise ValueError("a log's verifier key has type 0x01 and a witness's type 0x04: two keys were mixed up")
        except FormatError as error:
            raise ValueError(str(error)) from None
        return vkey

    @field_validator("node_witness", "own_witness")
    @classmethod
    def _is_witness(cls, text: str, info: ValidationInfo) -> str:
        if text and not KnownWitness.parse(text).url and info.field_name == "own_witness":
            raise ValueError("a witness is written as its verifier key, a space and its address")
        return text

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

    @cached_property
    def zone(self) -> ZoneInfo:
        """The time zone of days and hours."""
        return ZoneInfo(self.time_zone)

    def is_open(self, moment: datetime) -> bool:
        """Whether loan officers work at this local time."""
        opens, closes = (_minutes(time) for time in self.open_hours.split("-"))
        return opens <= moment.hour * 60 + moment.minute < closes

    @property
    def second_clerk_acts(self) -> frozenset[ActKind]:
        """What needs a second clerk."""
        return frozenset(ActKind(name.strip()) for name in self.second_clerk.split(",") if name.strip())

    @property
    def node_log_key(self) -> VerifierKey | None:
        """The key that verifies the node's log."""
        return VerifierKey.parse(self.node_log) if self.node_log else None

    @property
    def log_witnesses(self) -> tuple[KnownWitness, ...]:
        """Who cosigns this log: the node, where its key is named, and the further ones."""
        address = f"{self.node_url}/witness" if self.node_url else ""
        node = (KnownWitness.parse(self.node_witness, address),) if self.node_witness else ()
        return (*node, *self.further_witnesses)

    @property
    def witness_elsewhere(self) -> KnownWitness | None:
        """The office's witness where it is a process of its own."""
        return KnownWitness.parse(self.own_witness) if self.own_witness else None


def _minutes(time: str) -> int:
    return int(time[:2]) * 60 + int(time[3:])
