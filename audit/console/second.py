"""An act as a clerk does it on a page: at once where one clerk may, else filed for a second one."""

from __future__ import annotations

from typing import TypeVar

from audit.console.session import OfficeSession
from models import wire
from models.approvals import Act, ActKind, FileAct
from models.problems import SecondClerk

M = TypeVar("M", bound=wire.Message)


def do_or_file(office: OfficeSession, kind: ActKind, path: str, message: wire.Message, answer: type[M], reason: str) -> Act | M:
    """POST `message` to `path`; where the office's rule wants a second clerk, file it with `reason`: then it is an `Act`."""
    try:
        return office.logged(path, message, answer)
    except SecondClerk:
        return office.logged("/acts", FileAct(action=kind, document=wire.encode(message), reason=reason), Act)
