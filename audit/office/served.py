"""Whether a model's scores may be served now: one answer for tickets, for manifests and for the register itself."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from audit.office.store.models import StoredModel
from models.problems import NotApproved, Problem, Suspended
from models.registry import FILED, REFUSED, REPLACED, RETIRED, SUSPENDED
from models.zones import day_at


def check_served(model: StoredModel | None, now: int, zone: ZoneInfo) -> StoredModel:
    """The model; raises `NotApproved` or `Suspended`, whose detail says what to do, where its scores are not served."""
    if model is None:
        raise NotApproved("the office knows no such model, so its scores are not served; register it first")
    if not model.serves(now):
        raise _why_not(model, now, zone)
    return model


def why_not(model: StoredModel, now: int, zone: ZoneInfo) -> str:
    """In a sentence why a model serves nothing now; empty where it serves."""
    return "" if model.serves(now) else _why_not(model, now, zone).detail


def _why_not(model: StoredModel, now: int, zone: ZoneInfo) -> Problem:
    because = f" ({model.reason})" if model.reason else ""
    if model.state == FILED:
        return NotApproved("this model is registered and not decided yet, so its scores are not served; wait for the office")
    if model.state == REFUSED:
        return NotApproved(f"the office refused this model{because}, so its scores are not served; train and register another")
    if model.state == SUSPENDED:
        return Suspended(f"this model is suspended by the credit office{because}; ask the office what it needs to go on")
    day = day_at(model.serves_until, zone)
    if model.state == RETIRED:
        return NotApproved(f"this model was retired on {day}{because}; use the model that replaced it, or register a new one")
    if model.state == REPLACED and now < model.review_by:
        return NotApproved(f"this model was replaced and served until {day}; use the model that replaced it")
    return NotApproved(
        f"this model was to be reviewed by {day}, so its scores are not served; show the office how it does now, "
        "and hand its new approval to the node"
    )
