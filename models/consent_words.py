"""What a consent says, in plain Chinese and English: the words of its receipt, on paper, in a file and at the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone

from models.consent_receipts import ConsentStatement, Language, Named
from models.consents import ANY, Capture, Consent, ConsentKind, Purpose, Withdrawer

_KINDS = {
    ConsentKind.COLLECTION: ("采集授权：同意采集本人（本单位）的信用数据并用于查询", "Collection: data may be held and served"),
    ConsentKind.MODELLING: ("建模授权：同意数据参加联合建模", "Modelling: rows may join a joint model's training"),
    ConsentKind.QUERY: ("查询授权：同意查询本人（本单位）的信用数据", "Query: the bank may ask"),
}
_PURPOSES = {
    Purpose.LOAN_APPROVAL: ("贷款审批", "loan approval"),
    Purpose.POST_LOAN: ("贷后管理", "post-loan review"),
    Purpose.MODELLING: ("联合建模", "joint modelling"),
}
_CAPTURES = {
    Capture.WINDOW: ("在窗口办理，经办人 {by}", "at the window, taken by {by}"),
    Capture.ESIGN: ("电子签名，签名编号 {reference}", "by electronic signature number {reference}"),
    Capture.OFFICER: ("由 {by} 办理，{witness} 见证", "taken by {by}, witnessed by {witness}"),
}
_WITHDRAWERS = {
    Withdrawer.SUBJECT: ("本人", "the subject"),
    Withdrawer.REPRESENTATIVE: ("代理人", "a representative"),
    Withdrawer.OFFICE: ("信用办", "the credit office"),
}
_LABELS = (
    ("主体", "Subject"),
    ("授权", "Consent"),
    ("授权给", "Given to"),
    ("用途", "For"),
    ("数据", "Data"),
    ("敏感数据（单独同意）", "Sensitive data (a consent of its own)"),
    ("有效期", "Period"),
    ("办理方式", "How it was taken"),
    ("授权书摘要", "Digest of the signed form"),
    ("授权编号", "Number"),
    ("登记时间", "Filed"),
    ("撤回", "Withdrawn"),
)
TITLES = ("信桥授权凭证", "Xinqiao consent receipt")
_ADVICE = (
    "您可以随时撤回授权：到信用办窗口或在本人账户办理，自下一次查询起生效，无须说明理由。"
    "凭本凭证和信用办公开的公钥，任何人都可以离线核验：xinqiao verify-consent。",
    "You may withdraw at any time, at the credit office's window or in your account; it counts from the next question on, and "
    "no reason is asked. Anybody can check this receipt without a network, with the office's public keys alone: "
    "xinqiao verify-consent.",
)


def kind_words(kind: ConsentKind, language: Language) -> str:
    """What kind of consent it is."""
    return _KINDS[kind][_place(language)]


def purpose_words(purposes: Sequence[str], language: Language) -> str:
    """The purposes, or that it is for all of them."""
    if ANY in purposes:
        return ("全部用途", "all purposes")[_place(language)]
    words = [dict(_PURPOSES)[Purpose(one)][_place(language)] if one in set(Purpose) else one for one in purposes]
    return ("、", ", ")[_place(language)].join(words)


def capture_words(consent: Consent, language: Language, names: Mapping[str, str]) -> str:
    """How it was taken, and by whom; `names` says how people are called."""
    unknown = ("（未载明）", "(not stated)")[_place(language)]
    by, witness = (names.get(person, person) for person in (consent.captured_by, consent.witness))
    particulars = {"by": by, "witness": witness, "reference": consent.reference}
    return _CAPTURES[consent.capture][_place(language)].format(**{name: said or unknown for name, said in particulars.items()})


def withdrawer_words(by: str, language: Language) -> str:
    """Who withdrew it."""
    return _WITHDRAWERS[Withdrawer(by)][_place(language)] if by in set(Withdrawer) else by


def mask(subject: str) -> str:
    """An id as paper shows it: enough for its owner, too little for a finder."""
    code = subject.partition(":")[2] or subject
    return code if len(code) < 8 else f"{code[:4]}{'*' * (len(code) - 8)}{code[-4:]}"


def lines_of(statement: ConsentStatement, language: Language) -> list[tuple[str, str]]:
    """Label and words of everything that a statement says, in order."""
    place = _place(language)
    consent, labels = statement.consent, [label[place] for label in _LABELS]
    named = ("、", ", ")[place].join(_name(one, language) for one in statement.fields)
    everything = ("全部部门数据和评分（不含敏感数据）", "all data of departments, and scores; nothing sensitive")[place]
    until = _day(consent.valid_to - 1, statement)
    said = {
        0: mask(consent.subject),
        1: kind_words(consent.kind, language),
        2: _name(statement.recipient, language),
        3: purpose_words(consent.purposes, language),
        4: "" if consent.sensitive_fields else (everything if ANY in consent.field_sets else named),
        5: named if consent.sensitive_fields else "",
        6: (f"{_day(consent.valid_from, statement)} 至 {until}", f"{_day(consent.valid_from, statement)} to {until}")[place],
        7: capture_words(consent, language, {one.id: _name(one, language) for one in statement.people}),
        8: consent.evidence_digest,
        9: consent.id,
        10: _moment(statement.filed_at, statement),
        11: "",
    }
    if statement.withdrawn_at:
        by, when = withdrawer_words(statement.withdrawn_by, language), _moment(statement.withdrawn_at, statement)
        said[11] = (f"{when}，由{by}撤回", f"{when}, by {by}")[place]
    return [(labels[number], words) for number, words in said.items() if words]


def advice(language: Language) -> str:
    """What its owner can do, and how it is checked."""
    return _ADVICE[_place(language)]


def words_of(statement: ConsentStatement) -> str:
    """The whole receipt in words, Chinese first."""
    parts: list[str] = []
    for language, title in (("zh", TITLES[0]), ("en", TITLES[1])):
        colon = "：" if language == "zh" else ": "
        parts += [title, ""]
        parts += [f"{label}{colon}{said}" for label, said in lines_of(statement, language)]  # type: ignore[arg-type]
        parts += ["", advice(language), ""]  # type: ignore[arg-type]
    return "\n".join(parts)


def _name(named: Named, language: Language) -> str:
    return (named.zh if language == "zh" else named.en) or named.id


def _place(language: Language) -> int:
    return 0 if language == "zh" else 1


def _day(second: int, statement: ConsentStatement) -> str:
    return _local(second, statement).strftime("%Y-%m-%d")


def _moment(second: int, statement: ConsentStatement) -> str:
    return _local(second, statement).strftime("%Y-%m-%d %H:%M")


def _local(second: int, statement: ConsentStatement) -> datetime:
    return datetime.fromtimestamp(second, timezone(timedelta(minutes=statement.utc_offset)))
