"""Second factors of an owner: one-time codes of an authenticator (RFC 6238), passkeys (WebAuthn), and recovery codes.

A one-time code counts for its own half minute and the ones before and after it, and never twice. A passkey must verify its
user. A recovery code counts once; using one is a reason to enrol anew.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

import pyotp
import segno
import webauthn
from sqlalchemy import delete, func, insert, select, update
from webauthn.helpers import options_to_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from audit.console.accounts import Accounts, passkey, recovery, totp
from audit.database import writing
from models.web.notices import Notice

STEP_SECONDS = 30
RECOVERY_CODES = 8
ISSUER = "Xinqiao 信桥"


@dataclass(frozen=True, repr=False)
class NewTotp:
    """A secret that was not confirmed yet: base32, and the picture that an authenticator reads (SVG)."""

    secret: str
    picture: str


class Factors:
    """Second factors, for people of the office and for accounts alike. `address` is where browsers reach the console."""

    def __init__(self, accounts: Accounts, address: str) -> None:
        self._accounts, self._engine = accounts, accounts.engine
        self._origin, self._host = address, urlsplit(address).hostname or ""

    def enrolled(self, owner: str) -> tuple[bool, int]:
        """Whether an owner has an authenticator, and how many passkeys."""
        with self._engine.connect() as connection:
            codes = connection.execute(select(totp.c.owner).where(totp.c.owner == owner)).first() is not None
            keys = connection.execute(select(func.count()).where(passkey.c.owner == owner)).scalar_one()
        return codes, keys

    def forget(self, owner: str) -> None:
        """Forget all second factors of an owner."""
        with writing(self._engine) as connection:
            for table in (totp, passkey, recovery):
                connection.execute(delete(table).where(table.c.owner == owner))

    # ---------------------------------------------------------------- one-time codes

    def new_totp(self, name: str) -> NewTotp:
        """A fresh secret, to be confirmed with `enrol_totp`."""
        return self.shown_totp(name, pyotp.random_base32())

    def shown_totp(self, name: str, secret: str) -> NewTotp:
        """The same secret shown again."""
        uri = pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER)
        return NewTotp(secret, segno.make(uri, micro=False).svg_inline(scale=5, border=2, omitsize=True))

    def enrol_totp(self, owner: str, secret: str, given: str) -> None:
        """Keep a secret once a code proves that the authenticator has it; raises `Notice`."""
        step = _step_of(secret, given, self._accounts.clock())
        if step is None:
            raise Notice("second-wrong-new")
        sealed = self._accounts.sealing.seal("totp", owner, secret.encode())
        with writing(self._engine) as connection:
            connection.execute(delete(totp).where(totp.c.owner == owner))
            connection.execute(insert(totp).values(owner=owner, secret=sealed, last_step=step))

    def totp_fits(self, owner: str, given: str) -> bool:
        """Whether a code counts now; one that did will not again."""
        with self._engine.connect() as connection:
            row = connection.execute(select(totp).where(totp.c.owner == owner)).first()
        if row is None:
            return False
        secret = self._accounts.sealing.open("totp", owner, row.secret).decode()
        step = _step_of(secret, given, self._accounts.clock())
        if step is None:
            return False
        later = update(totp).where(totp.c.owner == owner, totp.c.last_step < step).values(last_step=step)
        with self._engine.begin() as connection:
            return connection.execute(later).rowcount == 1

    # ---------------------------------------------------------------- passkeys

    def new_passkey(self, owner: str, name: str) -> tuple[str, bytes]:
        """What a browser makes a passkey from (JSON), and the challenge to remember."""
        options = webauthn.generate_registration_options(
            rp_id=self._host,
            rp_name=ISSUER,
            user_id=self._accounts.sealing.tag("passkey", owner)[:32].encode(),
            user_name=name,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.DISCOURAGED, user_verification=UserVerificationRequirement.REQUIRED
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=key) for key in self._passkeys(owner)],
        )
        return options_to_json(options), options.challenge

    def enrol_passkey(self, owner: str, challenge: bytes, answer: str) -> None:
        """Keep the passkey that a browser made; raises `Notice`."""
        try:
            made = webauthn.verify_registration_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=self._host,
                expected_origin=self._origin,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError):
            raise Notice("passkey-wrong") from None
        with self._engine.begin() as connection:
            connection.execute(
                insert(passkey).values(
                    id=made.credential_id,
                    owner=owner,
                    public_key=made.credential_public_key,
                    sign_count=made.sign_count,
                    added_at=int(self._accounts.clock()),
                )
            )

    def ask_passkey(self, owner: str) -> tuple[str, bytes]:
        """What a browser asks a passkey with (JSON), and the challenge to remember."""
        options = webauthn.generate_authentication_options(
            rp_id=self._host,
            allow_credentials=[PublicKeyCredentialDescriptor(id=key) for key in self._passkeys(owner)],
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return options_to_json(options), options.challenge

    def passkey_fits(self, owner: str, challenge: bytes, answer: str) -> bool:
        """Whether a passkey of this owner signed the challenge, with its user verified."""
        try:
            used = webauthn.helpers.parse_authentication_credential_json(answer).raw_id
        except (WebAuthnException, ValueError):
            return False
        with self._engine.connect() as connection:
            row = connection.execute(select(passkey).where(passkey.c.id == used, passkey.c.owner == owner)).first()
        if row is None:
            return False
        try:
            seen = webauthn.verify_authentication_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=self._host,
                expected_origin=self._origin,
                credential_public_key=row.public_key,
                credential_current_sign_count=row.sign_count,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError):
            return False
        with self._engine.begin() as connection:
            connection.execute(update(passkey).where(passkey.c.id == used).values(sign_count=seen.new_sign_count))
        return True

    def _passkeys(self, owner: str) -> list[bytes]:
        with self._engine.connect() as connection:
            return list(connection.execute(select(passkey.c.id).where(passkey.c.owner == owner)).scalars())

    # ---------------------------------------------------------------- recovery codes

    def new_recovery(self, owner: str) -> tuple[str, ...]:
        """Fresh recovery codes, shown once; earlier ones count no more."""
        made = tuple(f"{secrets.token_hex(3)}-{secrets.token_hex(3)}" for _ in range(RECOVERY_CODES))
        with writing(self._engine) as connection:
            connection.execute(delete(recovery).where(recovery.c.owner == owner))
            connection.execute(insert(recovery), [{"owner": owner, "tag": self._tag(owner, each), "used": 0} for each in made])
        return made

    def recovery_fits(self, owner: str, given: str) -> bool:
        """Whether a recovery code counts; it will not again."""
        mine = (recovery.c.owner == owner) & (recovery.c.tag == self._tag(owner, given)) & (recovery.c.used == 0)
        with self._engine.begin() as connection:
            return connection.execute(update(recovery).where(mine).values(used=1)).rowcount == 1

    def recovery_left(self, owner: str) -> int:
        """How many recovery codes still count."""
        mine = (recovery.c.owner == owner) & (recovery.c.used == 0)
        with self._engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(recovery).where(mine)).scalar_one()

    def _tag(self, owner: str, given: str) -> str:
        return self._accounts.sealing.tag("recovery", f"{owner}\0{given.strip().lower()}")


def _step_of(secret: str, given: str, now: float) -> int | None:
    """The time step whose code this is: the present one, the last or the next."""
    plain, generator = "".join(given.split()), pyotp.TOTP(secret)
    present = int(now) // STEP_SECONDS
    for step in (present + 1, present, present - 1):
        if hmac.compare_digest(generator.at(step * STEP_SECONDS).encode(), plain.encode()):
            return step
    return None
