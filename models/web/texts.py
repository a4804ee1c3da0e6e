"""Sentences of pages, in Chinese and in English. Gaps are named, as in ``str.format``.

Each part of an application keeps its own ``TEXTS``; `Texts` merges them, and what all pages say stands here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")

COMMON: dict[str, tuple[str, str]] = {
    # the frame
    "brand": ("信桥", "Xinqiao"),
    "skip": ("跳到正文", "Skip to the content"),
    "sign-out": ("退出", "Sign out"),
    "home": ("首页", "Start"),
    "notice": ("请注意", "Please note"),
    "next-step": ("下一步", "What to do next"),
    "idle": ("长时间未操作，{seconds} 秒后将自动退出。",
             "Nothing was done for a while: you will be signed out in {seconds} s."),
    "stay": ("继续使用", "Stay signed in"),
    # signing in
    "signin": ("登录", "Sign in"),
    "signed-out": ("您已退出，请重新登录。", "You are signed out. Please sign in again."),
    "signin-wrong": ("口令不对。还可以再试 {left} 次。", "The passphrase does not open this key. {left} more attempts."),
    "signin-wait": ("口令多次输错，请在 {minutes} 分钟后再试。",
                    "Too many wrong passphrases. Try again in {minutes} minutes."),
    "csrf": ("页面已过期，请返回后重试。", "This page is out of date. Go back and try again."),
    # faults
    "not-found": ("没有这一页。", "There is no such page."),
    "bad-form": ("表单内容不完整，请返回重填。", "The form is not complete. Go back and fill it in."),
    "too-large": ("上传的内容太大。", "What was sent is too large."),
    "fault": ("页面出错了。请记下时间，告诉管理员。",
              "Something went wrong with this page. Note the time and tell its keeper."),
    "problem": ("未能完成", "It could not be done"),
}  # fmt: skip


class Texts(Mapping[str, tuple[str, str]]):
    """All sentences of one application; ValueError where two parts give one key different words."""

    def __init__(self, *parts: Mapping[str, tuple[str, str]]) -> None:
        self._all: dict[str, tuple[str, str]] = {}
        for part in (COMMON, *parts):
            for key, both in part.items():
                if self._all.setdefault(key, both) != both:
                    raise ValueError(f"two parts say {key!r} in different words")

    def __getitem__(self, key: str) -> tuple[str, str]:
        """Both languages."""
        return self._all[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def say(self, language: Language, key: str, **values: object) -> str:
        """A text in a language; `KeyError` for an unknown key."""
        text = self._all[key][LANGUAGES.index(language)]
        return text.format(**values) if values else text
