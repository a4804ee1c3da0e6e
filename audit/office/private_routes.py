"""Endpoints about banks' private models; their registration is that of every model (`audit.office.models_register`)."""

from __future__ import annotations

from audit.office.office import Office
from audit.office.private_models import PrivateModels
from audit.service.gate import Gate
from models.parties import Role
from models.wire import Signed

LARGEST_MOMENTS = 40 << 20


def bind_private_models(gate: Gate, office: Office) -> None:
    """Declare them."""
    models = PrivateModels(office)
    gate.logged(
        "POST",
        "/private-models/moments",
        action="private-model.moments",
        roles={Role.NODE},
        takes=Signed,
        limit=LARGEST_MOMENTS,
    )(models.moments)
