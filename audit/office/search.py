"""What an auditor asks: who asked about whom, and all evidence behind one access. Every question leaves a leaf itself."""

from __future__ import annotations

import re
from typing import Any

from audit.office.consents import canonical
from audit.office.dossiers import Dossiers
from audit.office.office import Office
from audit.office.store import accesses
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from models.oversight import MOST_FOUND, AskDossier, Dossier, FoundAccess, FoundAccesses, NamedBytes, SearchAccesses
from models.problems import NotFound, Unusable
from models.wire import fields_of, replace

_CURSOR = re.compile(r"(\d{1,15})\.(\d{1,18})")
LONGEST_WORD = 200


class Search:
    """Handlers of an auditor's questions."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._dossiers = Dossiers(office)

    def search(self, call: Call) -> Outcome:
        """POST /audit/search: a page of accesses, newest first."""
        ask: SearchAccesses = call.body
        words = {name: value for name, value in fields_of(ask).items() if isinstance(value, str) and value}
        if any(len(word) > LONGEST_WORD for word in words.values()) or not 1 <= ask.most <= MOST_FOUND:
            raise Unusable(f"what is searched for has at most {LONGEST_WORD} characters, and a page 1 to {MOST_FOUND} rows")
        if ask.subject:
            ask = replace(ask, subject=canonical(ask.subject, "the subject"))
        after = _cursor(ask.after)
        with call.engine.connect() as connection:
            found = accesses.search(connection, replace(ask, most=ask.most + 1), after, self._due(call))
        page, more = found[: ask.most], len(found) > ask.most
        following = f"{page[-1].at}.{page[-1].id}" if more else ""
        # What was typed stands in the opening only: a number that got into the wrong box is a person's all the same.
        facts: dict[str, Any] = {"count": len(page), "by": ",".join(sorted(words.keys() - {"after"}))}
        for name, moment in (("since", ask.since), ("until", ask.until)):
            if moment:
                facts[name] = moment
        opening = {"subject": "", "officer": "", **words, **({"subject": ask.subject} if ask.subject else {})}
        return Outcome(FoundAccesses(accesses=page, next=following), [LeafDraft("audit.search", facts, opening)])

    def dossier(self, call: Call) -> Outcome:
        """POST /audit/dossier: one access with everything that stands behind it."""
        ask: AskDossier = call.body
        found = self.find(call, ask.access)
        files = self._dossiers.gather(found)
        answer = Dossier(access=found, files=tuple(NamedBytes(name=name, data=data) for name, data in sorted(files.items())))
        opening = {"subject": found.subject, "officer": found.officer}
        return Outcome(answer, [LeafDraft("audit.dossier", {"access": found.id}, opening)])

    def find(self, call: Call, number: int) -> FoundAccess:
        """One access; raises `NotFound`."""
        with call.engine.connect() as connection:
            found = accesses.get(connection, number, self._due(call))
        if found is None:
            raise NotFound("there is no access of this number")
        return found

    def _due(self, call: Call) -> int:
        return call.now - self._office.settings.report_days * 86400


def _cursor(after: str) -> tuple[int, int] | None:
    if not after:
        return None
    match = _CURSOR.fullmatch(after)
    if match is None:
        raise Unusable("this is not where an earlier answer ended; begin the search anew")
    return int(match[1]), int(match[2])
