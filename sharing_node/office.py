"""The node's link to the credit office: the signed directory, the eligibility list, the seal of a manifest, cosignatures.

What the office says is believed only under its statement key. The directory is followed within `FRESH` seconds, so a
suspension is in force within a minute; when the office cannot be reached, the last directory serves for `STALE` seconds
and then nothing is served.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlencode

import httpx2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from models import wire
from models.consents import Eligibility
from models.http_client import M, SignedClient
from models.logged import Empty
from models.parties import Directory, EndedModel, Institution, InstitutionKind, Person, Role
from models.problems import BadSignature, PeerUnavailable
from models.tables import Seal, SubmitManifest
from models.wire import Signed

OFFICE = "office"
NODE = "node"
NODE_KEY_ID = "node/service"
FRESH = 15.0
STALE = 60.0


@dataclass(frozen=True)
class _Known:
    directory: Directory
    people: dict[str, Person] = field(repr=False)
    institutions: dict[str, Institution] = field(repr=False)
    ended_models: dict[str, EndedModel] = field(repr=False)
    at: float


class OfficeLink:
    """Thread-safe; one per process."""

    def __init__(
        self, url: str, office_key: Ed25519PublicKey, key: Ed25519PrivateKey, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = SignedClient(url, NODE_KEY_ID, key)
        self._public = httpx2.Client(base_url=url, timeout=10.0, trust_env=False)
        self._office_key = office_key
        self._clock = clock
        self._lock = threading.Lock()
        self._known: _Known | None = None

    def statement(self, signed: Signed, kind: type[M]) -> M:
        """Open a statement of the office; raises `BadSignature`."""
        return wire.open_signed(signed, kind, OFFICE, self._office_key)

    def find(self, key_id: str) -> tuple[Person, Institution] | None:
        """The person and institution behind a key id (the gate's `DirectorySource`)."""
        known = self._directory()
        person = known.people.get(key_id)
        return None if person is None else (person, known.institutions[person.institution])

    def institution(self, institution_id: str) -> Institution | None:
        """An institution by id."""
        return self._directory().institutions.get(institution_id)

    def banks_with(self, role: Role) -> frozenset[str]:
        """The banks in good standing that have a person of this role in good standing."""
        known = self._directory()
        people = (person for person in known.people.values() if person.role is role and not person.suspended)
        homes = (known.institutions[person.institution] for person in people)
        return frozenset(home.id for home in homes if home.kind is InstitutionKind.BANK and not home.suspended)

    def project_suspended(self, project_id: str) -> bool:
        """Whether the office has suspended a project, whatever it approved before."""
        return project_id in self._directory().directory.suspended_projects

    def ended_model(self, model_id: str) -> EndedModel | None:
        """What the office says of a model that stops serving before its review date; None of any other."""
        return self._directory().ended_models.get(model_id)

    def eligibility(self) -> Iterator[Eligibility]:
        """The office's present list of collection and modelling consents, objections and repairs, a page at a time."""
        after = ""
        while True:
            path = "/eligibility?" + urlencode({"after": after}) if after else "/eligibility"
            page = self.statement(self._client.get(path, Signed), Eligibility)
            self._check_age(page.issued_at, self._clock())
            if page.after != after or page.upto == after != "":
                raise BadSignature("the office gave another page of its list than the one that was asked for")
            yield page
            if not page.upto:
                return
            after = page.upto

    def seal(self, manifest: Signed) -> Signed:
        """Have the office check a manifest's matrix and hint; returns its signed `Seal`."""
        seal = self._client.logged("/manifests", SubmitManifest(manifest=manifest), Signed).answer
        if self.statement(seal, Seal).manifest != manifest.digest():
            raise BadSignature("the office's seal names another manifest")
        return seal

    def tell(self, path: str, statement: Signed) -> None:
        """Hand the office a statement of the node's that it keeps; raises what it refuses it with."""
        self._client.logged(path, statement, Empty)

    @staticmethod
    def _check_age(issued_at: int, now: float) -> None:
        # The office signs anew all the time; an old statement, sent again by somebody in between, would undo a suspension.
        if now - issued_at > STALE:
            raise PeerUnavailable("the credit office's statement is an old one; compare the clocks of office and node")

    def _directory(self) -> _Known:
        with self._lock:
            now = self._clock()
            if self._known is None or now - self._known.at > FRESH:
                try:
                    self._known = self._fetch(now)
                except (httpx2.TransportError, PeerUnavailable):
                    if self._known is None or now - self._known.at > STALE:
                        raise PeerUnavailable(
                            "the credit office's directory cannot be read, so nobody can be recognised; try again later"
                        ) from None
            return self._known

    def _fetch(self, now: float) -> _Known:
        response = self._public.get("/directory")
        if response.status_code != 200:
            raise PeerUnavailable("the credit office did not give its directory")
        directory = self.statement(wire.decode(response.content, Signed), Directory)
        self._check_age(directory.issued_at, now)
        if self._known is not None and directory.version < self._known.directory.version:
            raise PeerUnavailable("the credit office gave an older directory than before")
        return _Known(
            directory,
            {person.id: person for person in directory.people},
            {institution.id: institution for institution in directory.institutions},
            {ended.model: ended for ended in directory.ended_models},
            now,
        )
