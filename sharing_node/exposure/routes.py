"""The node's endpoints of exposure checks."""

from __future__ import annotations

from audit.service.gate import Gate
from models.exposure import FileAnswers, OpenExposure
from models.logged import Empty
from models.parties import Role
from models.wire import Signed
from sharing_node.exposure.checks import ExposureChecks
from sharing_node.node import Node


def bind_exposure(gate: Gate, node: Node) -> None:
    """Declare them."""
    checks, officer, responder = ExposureChecks(node), {Role.LOAN_OFFICER}, {Role.RESPONDER}
    path, post = "/exposures/{id}", gate.logged
    post("POST", "/exposures", action="exposure.ask", roles=officer, takes=OpenExposure)(checks.open)
    why = "a number that the public log shows as well; banks that poll look at it first"
    gate.public("GET", "/exposures/count", why=why)(checks.so_far)
    why = "questions that the office has signed, for the banks they are put to; asking and answering are logged"
    gate.unlogged("GET", "/exposures", roles=responder, why=why)(checks.waiting)
    post("POST", "/exposures/answers", action="exposure.answer", roles=responder, takes=FileAnswers)(checks.answer)
    why = "how many banks have answered the asker's own question"
    gate.unlogged("GET", path, roles=officer, why=why)(checks.state)
    post("POST", f"{path}/close", action="exposure.close", roles=officer, takes=Empty)(checks.close)
    post("POST", f"{path}/release", action="exposure.release", roles=officer, takes=Signed)(checks.release)
    why = "ciphertexts under another's key, which the office multiplies before it lets a sum go out; that is logged"
    gate.unlogged("GET", f"{path}/parts", roles={Role.OFFICE}, why=why)(checks.parts)
