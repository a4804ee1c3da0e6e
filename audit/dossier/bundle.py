"""A case in one file: a tar whose bytes follow from what is in it, under one signature of the office.

::

    MANIFEST.signed         Signed(BundleManifest): every other file with its SHA-256, and the keys of the office as of then
    README.txt              what this is and how it is checked, for whoever finds it years later
    case.json               the case: title, finding, items, notes (`models.cases.Case`)
    directory.signed        the office's directory at the time of the export, of those who take part in the case
    access/<number>/…       the evidence of each access (`audit.dossier.parts`), without what is shared
    shared/…                what several accesses speak of: people with their keys of then, manifests and seals
    alarm/<number>.json     an alarm as it stood, with its evidence and what was done about it
    finding/<number>.json   a finding of the daily reconciliation, with its leaves
    missing.json            what is in the case and was erased or purged before the export, with the reason in both languages

The tar has no times, owners or order of its own: whatever byte is changed, the file is no longer the one that its contents
give, or a digest or the signature fails. Leakage: a bundle names people, and belongs with whoever may read the case.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping, Set
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.dossier import parts
from audit.dossier.checks import check_access
from audit.dossier.evidence import (
    FAILED,
    OFFICE,
    Check,
    Mismatch,
    Missing,
    Said,
    Trust,
    find_person,
    object_of,
    open_leaf,
    run_check,
)
from models import wire
from models.alarm_rules import rule_of
from models.alarms import AlarmHistory
from models.cases import Case, CaseItem, ItemKind
from models.oversight import FoundAccess
from models.parties import Directory
from models.reconciliation import Finding
from models.wire import Message, Signed

MANIFEST, README, CASE, DIRECTORY = "MANIFEST.signed", "README.txt", "case.json", "directory.signed"
LARGEST = 1 << 30
FORMAT = 1
ABOUT = """\
信用办案件证据包 / A case of the credit office, with its evidence

本文件由信用办签名，不依赖任何在线服务即可核验：
This file is signed by the credit office and is checked without any service:

    xinqiao verify-bundle FILE --office-key … --log-key … [--witness-key …]

case.json 是案件本身；access/ 是每次查询的证据；shared/ 是签名人的密钥（当时的）与数据表清单。
case.json is the case itself; access/ holds the evidence of each access; shared/ the keys of then of whoever signed, and the
manifests of the tables. JSON files can be read with any editor; .signed files are MessagePack, under an Ed25519 signature.
"""


class BundledFile(Message):
    """A file of the bundle, by name, with its SHA-256 (32 bytes)."""

    name: str
    digest: bytes


class BundleManifest(Message):
    """What the office signs: the files, and the verifier keys of then, to be compared with the reader's own."""

    format: int
    case: int
    made_at: int
    made_by: str
    log_keys: tuple[str, ...]
    witness_keys: tuple[str, ...]
    files: tuple[BundledFile, ...]


@dataclass(frozen=True)
class OpenedBundle:
    """A bundle whose bytes and signature hold: its manifest, its case, its files by name."""

    manifest: BundleManifest
    case: Case
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Verdict:
    """What was verified: the bundle's own checks, and those of each access by its number."""

    bundle: OpenedBundle
    own: list[Check]
    accesses: dict[int, list[Check]]

    @property
    def failed(self) -> list[tuple[str, Check]]:
        """Every check that does not hold, with the place it belongs to."""
        found = [("case", check) for check in self.own]
        found += [(f"access {number}", check) for number, checks in self.accesses.items() for check in checks]
        return [(place, check) for place, check in found if check.state == FAILED]


def make_bundle(files: Mapping[str, bytes], manifest: BundleManifest, key: Ed25519PrivateKey) -> bytes:
    """The file of a case; the same files and manifest give the same bytes. `manifest.files` is filled in here."""
    whole = {README: ABOUT.encode(), **files}
    listed = tuple(BundledFile(name=name, digest=hashlib.sha256(whole[name]).digest()) for name in sorted(whole))
    signed = wire.sign(wire.replace(manifest, files=listed), OFFICE, key)
    return _tar({MANIFEST: wire.encode(signed), **whole})


def open_bundle(data: bytes, office: Ed25519PublicKey) -> OpenedBundle:
    """Read a bundle; raises `Mismatch`, `Missing` or a `Problem` where a byte or the signature is not as it was made."""
    files = _untar(data)
    if MANIFEST not in files:
        raise Missing("this is no bundle: it has no manifest", "不是证据包：没有清单")
    # (1) the file is written as the office writes it: nothing beside, behind or between its files
    if not _is_written_as(files, data):
        raise Mismatch("the file is not byte for byte what the office wrote: it was changed, or packed anew")
    # (2) the signature
    signed = wire.decode(files[MANIFEST], Signed)
    manifest = wire.open_signed(signed, BundleManifest, OFFICE, office)
    if wire.encode(signed) != files[MANIFEST] or manifest.format != FORMAT:
        raise Mismatch("the manifest is not written as the office writes it, or in a newer format than this program knows")
    # (3) every file
    listed = {one.name: one.digest for one in manifest.files}
    if listed.keys() != files.keys() - {MANIFEST}:
        raise Mismatch("there are other files than the manifest names")
    for name, digest in listed.items():
        if hashlib.sha256(files[name]).digest() != digest:
            raise Mismatch(f"{name} is not what the office signed")
    if CASE not in files:
        raise Missing("the bundle has no case", "证据包中没有案件")
    return OpenedBundle(manifest, parts.from_json(files[CASE], Case), files)


def verify_bundle(data: bytes, trust: Trust) -> Verdict:
    """Check a bundle and all evidence in it; raises as `open_bundle` where the file itself cannot be trusted."""
    opened = open_bundle(data, trust.office)
    own = [
        run_check("keys", lambda: _check_keys(opened, trust)),
        run_check("directory", lambda: _check_directory(opened, trust)),
    ]
    own += [run_check("items", lambda: _check_items(opened))]
    gone = _gone(opened)
    own += [
        run_check(f"finding-{number}", lambda number=number: _check_finding(opened.files, number, trust))  # type: ignore[misc]
        for number in _refs(opened.case, ItemKind.FINDING, gone)
    ]
    numbers = _refs(opened.case, ItemKind.ACCESS, gone)
    return Verdict(opened, own, {number: check_access(files_of(opened.files, number), trust) for number in numbers})


def files_of(files: Mapping[str, bytes], access: int) -> dict[str, bytes]:
    """The evidence of one access of a bundle, as it stands in its dossier."""
    prefix = _folder(access)
    own = {name.removeprefix(prefix): data for name, data in files.items() if name.startswith(prefix)}
    return own | {name: data for name, data in files.items() if name.startswith(parts.SHARED)}


def placed(files: Mapping[str, bytes], access: int) -> dict[str, bytes]:
    """A dossier's files under their names in a bundle."""
    return {name if name.startswith(parts.SHARED) else _folder(access) + name: data for name, data in files.items()}


def item_name(item: CaseItem) -> str:
    """How an item is called where it is missing."""
    return f"{item.kind}/{item.ref}"


def alarm_name(number: int) -> str:
    """The file of an alarm."""
    return f"alarm/{number}.json"


def finding_name(number: int) -> str:
    """The file of a finding; its leaves stand beside it."""
    return f"finding/{number}.json"


def finding_leaf(number: int, log: str) -> str:
    """The stem of a finding's leaf in one of the logs."""
    return f"finding/{number}-{log}"


# ---------------------------------------------------------------------- checks


def _check_keys(opened: OpenedBundle, trust: Trust) -> Said:
    known = {str(log.key) for log in trust.logs}
    if not known & set(opened.manifest.log_keys):
        raise Mismatch("none of the log keys given is one that the office names: another office's or an older bundle's keys?")
    by = opened.manifest.made_by
    return f"exported by {by}, under keys that the reader holds", f"{by} 导出，密钥与读者所持一致"


def _check_directory(opened: OpenedBundle, trust: Trust) -> Said:
    if DIRECTORY not in opened.files:
        raise Missing
    signed = wire.decode(opened.files[DIRECTORY], Signed)
    directory = wire.open_signed(signed, Directory, OFFICE, trust.office)
    for person in directory.people:
        if find_person(opened.files, person.id, trust).key != person.key:
            raise Mismatch(f"{person.id} has another key in the directory than in the enrolment leaf")
    count = len(directory.people)
    return f"{count} people with the keys that their enrolment leaves name", f"{count} 人的密钥与登记日志一致"


def _check_items(opened: OpenedBundle) -> Said:
    gone = _gone(opened)
    for number in _refs(opened.case, ItemKind.ACCESS, gone):
        found = files_of(opened.files, number).get(parts.ACCESS)
        if found is None or parts.from_json(found, FoundAccess).id != number:
            raise Mismatch(f"the evidence of access {number} is missing or another one's")
    for number in _refs(opened.case, ItemKind.ALARM, gone):
        found = opened.files.get(alarm_name(number))
        if found is None or parts.from_json(found, AlarmHistory).alarm.id != number:
            raise Mismatch(f"alarm {number} is missing or another one")
    count = len(opened.case.items)
    if gone:
        return (
            f"{count} items, of which {len(gone)} were erased or purged before the export: {', '.join(sorted(gone))}",
            f"{count} 项，其中 {len(gone)} 项导出前已删除或清除：{'、'.join(sorted(gone))}",
        )
    return f"{count} items, all there", f"{count} 项，齐全"


def _check_finding(files: Mapping[str, bytes], number: int, trust: Trust) -> Said:
    if finding_name(number) not in files:
        raise Mismatch("the finding is missing")
    finding = parts.from_json(files[finding_name(number)], Finding)
    places: list[Said] = []
    for log, index in (("node", finding.node_index), ("office", finding.office_index)):
        stem = finding_leaf(number, log)
        if index < 0 or stem + parts.LEAF not in files:
            continue
        if open_leaf(files, stem, trust).index != index:
            raise Mismatch("a leaf of the finding stands elsewhere than the finding says")
        places.append((f"entry {index} of the {log}'s log", f"{'节点' if log == 'node' else '信用办'}日志第 {index} 条"))
    en, zh = (sep.join(one[place] for one in places) for place, sep in enumerate((" and ", "，")))
    rule = rule_of(finding.rule)
    return f"{rule.en}, {finding.day}: {en or 'no leaf belongs to it'}", f"{rule.zh}，{finding.day}：{zh or '不涉及日志条目'}"


def _refs(case: Case, kind: ItemKind, gone: Set[str]) -> list[int]:
    return sorted({item.ref for item in case.items if item.kind is kind and item_name(item) not in gone})


def _gone(opened: OpenedBundle) -> Set[str]:
    """The items that the office says were gone at the export; under its signature, like all in the file."""
    return object_of(opened.files[parts.MISSING]).keys() if parts.MISSING in opened.files else set()


def _folder(access: int) -> str:
    return f"access/{access}/"


# ---------------------------------------------------------------------- the file


def _tar(files: Mapping[str, bytes]) -> bytes:
    """Files in the order of their names, the manifest first; nothing in their headers but names and sizes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(files, key=lambda name: (name != MANIFEST, name)):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(files[name]), 0o644
            tar.addfile(info, io.BytesIO(files[name]))
    return out.getvalue()


def _is_written_as(files: Mapping[str, bytes], data: bytes) -> bool:
    try:
        return _tar(files) == data
    except ValueError:  # a name that the office's format cannot hold
        return False


def _untar(data: bytes) -> dict[str, bytes]:
    if len(data) > LARGEST:
        raise Mismatch("a bundle is never so large")
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            for info in tar:
                # A sparse file unpacks to as much as it likes from almost nothing.
                content = tar.extractfile(info) if info.isfile() and not info.issparse() and info.size <= len(data) else None
                if content is None or info.name in files:
                    raise Mismatch("there is something in the file that the office does not write")
                files[info.name] = content.read()
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        raise Mismatch(f"the file cannot be read as a bundle ({type(error).__name__}): it was cut or changed") from None
    return files
