"""Signing in at the console: both steps, the first second factor, what ends a session."""

from __future__ import annotations

from models.parties import Role
from tests.console.place import Place, Visitor


def test_a_clerk_signs_in_with_passphrase_and_code(visitor: Visitor) -> None:
    visitor.sign_in(Role.CLERK)
    assert "等您处理" in visitor.text
    assert "李娜" in visitor.text


def test_a_subject_signs_in(console: Place, visitor: Visitor) -> None:
    login = console.account("citizen:11010519900101001X")
    visitor.sign_in_account(login)
    assert visitor.last.headers["location"] == "/me"
