"""Every way a request can be refused: one table from error to problem type and HTTP status (RFC 9457).

::

    Problem
    ├── BadRequest 400      the message itself is wrong
    ├── Unauthenticated 401 who sent it is not proven
    ├── Forbidden 403       who sent it may not
    ├── NotFound 404
    ├── Conflict 409        the state does not allow it
    ├── TooLarge 413
    ├── BadContentType 415
    ├── Unusable 422        well-formed, but refused for what it says
    ├── OverBudget 429
    └── Unavailable 503     try again later; nothing was done

`detail` says what was wrong and where, `advice` what to do next. Neither ever holds a secret, an identity or a value of
a person's record. The client raises the same classes that the server raised.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

import msgspec

URN = "urn:xinqiao:problem:"
CONTENT_TYPE = "application/problem+json"
REGISTRY: dict[str, type[Problem]] = {}


class Problem(Exception):
    """Base of all refusals; subclasses set `status`, `title` and a default `advice`."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong on our side"
    advice: ClassVar[str] = "Nothing was released. Try again; if it stays, tell the operator the time of the request."

    def __init__(self, detail: str = "", *, advice: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.next_step = advice or self.advice
        self.retry_after = retry_after

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        REGISTRY[cls.slug()] = cls

    @classmethod
    def slug(cls) -> str:
        """The last part of the problem's URN, e.g. ``bad-message`` for `BadMessage`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()

    def document(self) -> bytes:
        """The RFC 9457 problem document as JSON bytes."""
        return msgspec.json.encode(
            {
                "type": URN + self.slug(),
                "title": self.title,
                "status": self.status,
                "detail": self.detail,
                "advice": self.next_step,
            }
        )


REGISTRY[Problem.slug()] = Problem


def from_document(status: int, body: bytes) -> Problem:
    """The exception that a problem document stands for; an unreadable one becomes a plain `Problem`."""
    try:
        fields = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError):
        return Problem(f"the server answered {status} without a problem document")
    kind = REGISTRY.get(str(fields.get("type", "")).removeprefix(URN), Problem)
    return kind(str(fields.get("detail", "")), advice=str(fields.get("advice", "")) or None)


class BadRequest(Problem):
    """400."""

    status = 400
    title = "The request is not well formed"
    advice = "Correct the request as the detail says and send it again; nothing was changed."


class BadMessage(BadRequest):
    """A body that does not decode, or an array of another shape, type or range."""

    title = "The message does not have the form it must have"


class BadElement(BadRequest):
    """A group element, scalar, proof or ciphertext that is not valid."""

    title = "A cryptographic value is not valid"
    advice = "Do not retry: make the value afresh with a current client. Nothing was evaluated."


class BadIdentity(BadRequest):
    """An identity code with a wrong form or check digit."""

    title = "An identity code is not valid"


class BadFile(BadRequest):
    """An uploaded file that cannot be read as what it should be."""

    title = "The file cannot be read"


class Unauthenticated(Problem):
    """401."""

    status = 401
    title = "The sender is not proven"
    advice = "Sign the request with an enrolled key, a fresh nonce and a clock that is right."


class BadSignature(Unauthenticated):
    """A signature that is missing, wrong, expired, or by an unknown key."""

    title = "The signature does not verify"


class Replayed(Unauthenticated):
    """A nonce that was seen before."""

    title = "This signed request was received before"
    advice = "Sign each request afresh; to repeat one safely, sign again with the same Idempotency-Key."


class Forbidden(Problem):
    """403."""

    status = 403
    title = "This is not allowed"
    advice = "Ask the credit office if you believe that it should be."


class WrongRole(Forbidden):
    """A role that may not do this."""

    title = "Your role may not do this"
    advice = "Have a person with one of the named roles do it."


class Suspended(Forbidden):
    """A person, institution or project that the office suspended."""

    title = "Suspended by the credit office"


class OwnRequest(Forbidden):
    """Approving what one asked for oneself."""

    title = "No one approves their own request"
    advice = "A second person must decide."


class SecondClerk(Forbidden):
    """An act that a rule of the office gives a second pair of eyes, asked for by one clerk alone."""

    title = "This act needs a second clerk"
    advice = "File it (POST /acts); another clerk decides, and it is done with that."


class NoConsent(Forbidden):
    """No consent stands for this subject, recipient, purpose and time."""

    title = "No consent covers this"
    advice = "Obtain the person's consent for this bank and purpose, file it with the office, and ask again."


class NotApproved(Forbidden):
    """A project, field set or model without the office's approval."""

    title = "The credit office has not approved this"
    advice = "File it with the office, or wait for its decision."


class BadTicket(Forbidden):
    """A ticket for another bank, officer, purpose, table or epoch, expired, spent, or not signed by the office."""

    title = "The ticket does not cover this request"
    advice = "Ask the office for a new ticket; a ticket opens one question, once, for ten minutes."


class NotFound(Problem):
    """404."""

    status = 404
    title = "There is nothing here"
    advice = "Check the address and the identifiers."


class Conflict(Problem):
    """409."""

    status = 409
    title = "The present state does not allow this"
    advice = "Read the present state and continue from there; nothing was changed."


class KeyReused(Conflict):
    """An idempotency key that came before with another body."""

    title = "This Idempotency-Key was used with another request"
    advice = "Use a new key for a new request; the same key only repeats the same body."


class SecondManifest(Conflict):
    """Two manifests for one table and epoch."""

    title = "There is already a manifest for this table and epoch"
    advice = "A new build needs a new epoch. The office keeps both manifests as evidence."


class TooFewBanks(Conflict):
    """A sum over banks from which too few are left."""

    title = "Too few banks are left, so nothing comes out"
    advice = "Begin again when the other banks are back; nothing was unmasked."


class TooLarge(Problem):
    """413."""

    status = 413
    title = "The request is too large"
    advice = "Split it; the detail names the limit."


class BadContentType(Problem):
    """415."""

    status = 415
    title = "The content type is not the one this address takes"
    advice = "Send the content type that the detail names."


class Unusable(Problem):
    """422."""

    status = 422
    title = "The content is understood but refused"
    advice = "The detail says what would be accepted."


class CohortRefused(Unusable):
    """A cohort that is too small, or too like an earlier one."""

    title = "This cohort is refused"


class TrainingRefused(Unusable):
    """A training whose inputs or limits do not hold."""

    title = "This training is refused"


class ReleaseRefused(Unusable):
    """A release that would say too much about one column."""

    title = "This release is refused"


class InputsRefused(Unusable):
    """The office's replay found inputs that are not what the protocol allows."""

    title = "The committed inputs are not usable"


class Damaged(Unusable):
    """A column, hint or manifest that does not match what was signed."""

    title = "What was received does not match what was signed"
    advice = "Keep the evidence; it has been reported to the credit office. Do not retry this question by yourself."


class OverBudget(Problem):
    """429."""

    status = 429
    title = "The budget is used up"
    advice = "Wait for the next period or ask the credit office for a larger budget."


class Unavailable(Problem):
    """503."""

    status = 503
    title = "The service cannot answer now"
    advice = "Nothing was released. Try again after a moment."


class LogUnavailable(Unavailable):
    """The transparency log cannot be written, so nothing is served."""

    title = "The log cannot be written, so nothing is served"


class PeerUnavailable(Unavailable):
    """Another service that this one needs does not answer."""

    title = "Another service that is needed does not answer"


class Busy(Unavailable):
    """As many requests are in work as this service takes at once; `retry_after` says when to come again."""

    title = "The service has as much in work as it takes at once"
    advice = "Nothing was done. Send the same request again after the time in Retry-After."
