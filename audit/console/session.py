"""The session that a page of the console works with; it stands in `audit.client`, for tools without pages use it too."""

from audit.client.session import OfficeSession

__all__ = ["OfficeSession"]
