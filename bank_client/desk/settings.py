"""The desk's settings: one TOML file for a branch. An unknown key stops the start.

::

    institution = "fumin-bank"
    data_dir = "desk-data"              # forms, receipts, hints of tables, open decisions
    port = 8710                         # host is 127.0.0.1 unless set
    public_url = "https://desk.branch"  # where browsers reach it, if not at http://host:port
    time_zone = "Asia/Shanghai"         # of all days and moments shown and entered
    exposure = "exposure-2026"          # an approved project of exposure checks, where the branch makes them

    [office]                            # as in the bank's own settings
    [node]

    [[people]]
    id = "fumin-bank/chen.jianguo"
    name = "陈建国"
    key_file = "chen.pem"               # made by `xinqiao bank keygen --protect`

    [[projects]]
    id = "window-checks"
    label_zh = "春耕贷款受理"
    label_en = "Spring loans"
    # model = "own.model"               # of a joint project: its private model's scores are checked instead

What desk and console share stands in `models.web.settings`.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from bank_client.config import BankConfig, ConfigError, NodeSection, OfficeSection
from models.protected_keys import check_protected
from models.settings_files import load_settings
from models.web.settings import PageSettings


class DeskPerson(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Someone of the branch; the role is the one that the office has enrolled."""

    id: str
    key_file: Path
    name: str = ""


class DeskProject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An approved check project, and how the desk calls it; without labels by its title.

    With `model`, the file of a private model, it is the model's joint project, and a check gives the model's score.
    """

    id: str
    label_zh: str = ""
    label_en: str = ""
    model: Path | None = None


class DeskConfig(PageSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of one branch's desk. Checked when made: raises `ConfigError`."""

    institution: str
    office: OfficeSection
    node: NodeSection
    people: tuple[DeskPerson, ...]
    projects: tuple[DeskProject, ...]
    port: int = 8710
    data_dir: Path = Path("desk-data")
    exposure: str = ""

    def __post_init__(self) -> None:
        """Check what the types do not say."""
        super().__post_init__()
        if not self.people or not self.projects:
            raise ConfigError("name at least one of [[people]] and one of [[projects]]")
        for what, ids in (("people", [p.id for p in self.people]), ("projects", [p.id for p in self.projects])):
            if len(set(ids)) != len(ids):
                raise ConfigError(f"{what}: an id stands more than once")
        for person in self.people:
            self.of(person.id)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> DeskConfig:
        """Read a TOML file, paths relative to it; raises `ConfigError` naming the key that does not fit."""
        return load_settings(cls, path)

    def of(self, person: str) -> BankConfig:
        """The settings of one person's session."""
        key_file = next(entry.key_file for entry in self.people if entry.id == person)
        return BankConfig(
            institution=self.institution,
            person=person,
            key_file=key_file,
            office=self.office,
            node=self.node,
            identity=self.identity,
            data_dir=self.data_dir,
        )

    def check_files(self) -> None:
        """Check that every key file is there and protected; raises `ConfigError`."""
        for person in self.people:
            check_protected(person.key_file)
