"""Who may sign in at the console: people of the office with their key files, and subjects with an account.

An account is opened at the window by a clerk who has checked the person's papers. It has a login name that says nothing
about them, a passphrase that they choose with the one-time code of a paper slip, and a second factor. The canonical id is
sealed under the console's key; accounts are found by an HMAC of it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, String, Table, delete, insert, select, update

from audit.console.sealing import Sealing
from audit.database import open_engine, writing
from models.key_files import ConfigError

metadata = MetaData()

staff = Table(
    "console_person",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("key_file", String(1000), nullable=False),
)
account = Table(
    "console_account",
    metadata,
    Column("login", String(40), primary_key=True),
    Column("subject", LargeBinary, nullable=False),
    Column("subject_tag", String(64), nullable=False, unique=True),
    # Empty until the person has chosen one with the slip's code.
    Column("passphrase", LargeBinary, nullable=False),
    Column("opened_by", String(200), nullable=False),
    Column("opened_at", BigInteger, nullable=False),
)
# One-time codes that let an owner enrol a second factor (and, for an account, choose a passphrase).
code = Table(
    "console_code",
    metadata,
    Column("owner", String(200), primary_key=True),
    Column("tag", String(64), nullable=False),
    Column("expires", BigInteger, nullable=False),
)
totp = Table(
    "console_totp",
    metadata,
    Column("owner", String(200), primary_key=True),
    Column("secret", LargeBinary, nullable=False),
    # The last time step whose code was taken: no code counts twice (RFC 6238 §5.2).
    Column("last_step", BigInteger, nullable=False),
)
passkey = Table(
    "console_passkey",
    metadata,
    Column("id", LargeBinary, primary_key=True),
    Column("owner", String(200), nullable=False, index=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("added_at", BigInteger, nullable=False),
)
recovery = Table(
    "console_recovery",
    metadata,
    Column("owner", String(200), primary_key=True),
    Column("tag", String(64), primary_key=True),
    Column("used", Integer, nullable=False),
)

SHORTEST_PASSPHRASE = 12
LONGEST_PASSPHRASE = 256
SCRYPT_N, SCRYPT_R, SCRYPT_P = 1 << 15, 8, 3
CODE_DAYS = 7
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
Clock = Callable[[], float]


@dataclass(frozen=True)
class StaffMember:
    """Someone of the office who may sign in; role and key are those that the office has enrolled."""

    id: str
    name: str
    key_file: Path


@dataclass(frozen=True, repr=False)
class Account:
    """A subject's account. `subject` is the canonical id."""

    login: str
    subject: str
    opened_by: str
    opened_at: int
    ready: bool

    @property
    def owner(self) -> str:
        """What its second factors are kept under."""
        return f"account:{self.login}"


class Accounts:
    """The console's own store, `console.sqlite` below `data_dir`, with its key beside it."""

    def __init__(self, data_dir: Path, clock: Clock = time.time) -> None:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.sealing = Sealing(data_dir / "console.key")
        self.clock = clock
        file = data_dir / "console.sqlite"
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
        self.engine = open_engine(f"sqlite:///{file}")
        metadata.create_all(self.engine)

    def close(self) -> None:
        """Close the file."""
        self.engine.dispose()

    # ---------------------------------------------------------------- people of the office

    def add_person(self, person: str, name: str, key_file: Path) -> None:
        """Let someone of the office sign in; raises `ConfigError` where they may already."""
        if self.person(person) is not None:
            raise ConfigError(f"{person} may sign in already")
        with self.engine.begin() as connection:
            connection.execute(insert(staff).values(id=person, name=name, key_file=str(key_file.resolve())))

    def person(self, person: str) -> StaffMember | None:
        """Someone of the office, if they may sign in."""
        return next((member for member in self.people() if member.id == person), None)

    def people(self) -> list[StaffMember]:
        """Everyone of the office who may sign in, by name."""
        with self.engine.connect() as connection:
            rows = connection.execute(select(staff).order_by(staff.c.name)).all()
        return [StaffMember(row.id, row.name, Path(row.key_file)) for row in rows]

    # ---------------------------------------------------------------- one-time codes

    def issue_code(self, owner: str) -> str:
        """A fresh one-time code for an owner, good for seven days; it replaces an earlier one."""
        made = "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))
        values = {"tag": self._code_tag(owner, made), "expires": int(self.clock()) + CODE_DAYS * 24 * 3600}
        with writing(self.engine) as connection:
            connection.execute(delete(code).where(code.c.owner == owner))
            connection.execute(insert(code).values(owner=owner, **values))
        return made

    def code_fits(self, owner: str, given: str) -> bool:
        """Whether this is the owner's one-time code; it stays good until `spend_code`."""
        with self.engine.connect() as connection:
            row = connection.execute(select(code).where(code.c.owner == owner)).first()
        return row is not None and row.expires > self.clock() and hmac.compare_digest(row.tag, self._code_tag(owner, given))

    def spend_code(self, owner: str) -> None:
        """The code has done its work."""
        with self.engine.begin() as connection:
            connection.execute(delete(code).where(code.c.owner == owner))

    def _code_tag(self, owner: str, given: str) -> str:
        plain = "".join(given.split()).replace("-", "").upper()
        return self.sealing.tag("code", f"{owner}\0{plain}")

    # ---------------------------------------------------------------- subjects

    def open_account(self, subject: str, by: str) -> tuple[Account, str]:
        """A subject's account (a new one, or theirs begun anew) and the one-time code for the paper slip.

        Begun anew, the account keeps its login; passphrase and second factors are forgotten.
        """
        tag = self.sealing.tag("subject", subject)
        found = self.account_of(subject)
        login = found.login if found else "".join(secrets.choice(_ALPHABET) for _ in range(8))
        with writing(self.engine) as connection:
            connection.execute(delete(account).where(account.c.subject_tag == tag))
            connection.execute(
                insert(account).values(
                    login=login,
                    subject=self.sealing.seal("subject", login, subject.encode()),
                    subject_tag=tag,
                    passphrase=b"",
                    opened_by=by,
                    opened_at=int(self.clock()),
                )
            )
            for table in (totp, passkey, recovery):
                connection.execute(delete(table).where(table.c.owner == f"account:{login}"))
        made = self.account(login)
        assert made is not None
        return made, self.issue_code(made.owner)

    def account(self, login: str) -> Account | None:
        """An account by its login name, however it is typed."""
        with self.engine.connect() as connection:
            row = connection.execute(select(account).where(account.c.login == login.strip().upper())).first()
        if row is None:
            return None
        subject = self.sealing.open("subject", row.login, row.subject).decode()
        return Account(row.login, subject, row.opened_by, row.opened_at, bool(row.passphrase))

    def account_of(self, subject: str) -> Account | None:
        """A subject's account."""
        with self.engine.connect() as connection:
            tag = self.sealing.tag("subject", subject)
            login = connection.execute(select(account.c.login).where(account.c.subject_tag == tag)).scalar()
        return None if login is None else self.account(login)

    def close_account(self, subject: str) -> bool:
        """Delete a subject's account with everything of it; whether there was one."""
        found = self.account_of(subject)
        if found is None:
            return False
        with writing(self.engine) as connection:
            connection.execute(delete(account).where(account.c.login == found.login))
            for table in (code, totp, passkey, recovery):
                connection.execute(delete(table).where(table.c.owner == found.owner))
        return True

    def set_passphrase(self, login: str, passphrase: str) -> None:
        """Store what verifies a passphrase; raises `ConfigError` where it is too short."""
        if len(passphrase) < SHORTEST_PASSPHRASE:
            raise ConfigError(f"the passphrase has fewer than {SHORTEST_PASSPHRASE} characters")
        salt = os.urandom(16)
        with self.engine.begin() as connection:
            stored = salt + _stretched(passphrase, salt)
            connection.execute(update(account).where(account.c.login == login).values(passphrase=stored))

    def passphrase_fits(self, login: str, passphrase: str) -> bool:
        """Whether this is the account's passphrase; as slow for a login that does not exist."""
        with self.engine.connect() as connection:
            stored = connection.execute(select(account.c.passphrase).where(account.c.login == login.strip().upper())).scalar()
        salt, expected = (stored[:16], stored[16:]) if stored else (bytes(16), bytes(32))
        return hmac.compare_digest(_stretched(passphrase, salt), expected) and bool(stored)


def _stretched(passphrase: str, salt: bytes) -> bytes:
    plain = hashlib.sha256(passphrase[:LONGEST_PASSPHRASE].encode()).digest()
    return Scrypt(salt=salt, length=32, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P).derive(plain)
