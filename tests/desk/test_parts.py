"""The desk's parts by themselves: keys under a passphrase, settings, the ledger, masks."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from bank_client.cli import app
from bank_client.config import ConfigError, make_key
from bank_client.desk.identities import mask, named_in
from bank_client.desk.ledger import ANSWERED, ASKING, DAY, INTERRUPTED, KEPT_DAYS, MASK_DAYS, REFUSED, Check, Ledger
from bank_client.desk.settings import DeskConfig
from models import protected_keys
from models.protected_keys import WrongPassphrase, make_protected_key, protect, unlock
from tests.bank.test_config import SETTINGS

WORDS = "correct horse 电池 staple"


# -------------------------------------------------------------------- keys


def test_a_protected_key_opens_with_its_passphrase_alone(tmp_path: Path) -> None:
    key, file = Ed25519PrivateKey.generate(), tmp_path / "k.pem"
    protect(key, file, WORDS)
    assert file.stat().st_mode & 0o777 == 0o600
    assert unlock(file, WORDS).private_bytes_raw() == key.private_bytes_raw()
    with pytest.raises(WrongPassphrase):
        unlock(file, WORDS + "!")
    with pytest.raises(FileExistsError):
        protect(key, file, WORDS)
    with pytest.raises(ConfigError, match="fewer than 12"):
        protect(key, tmp_path / "short.pem", "short")
    file.chmod(0o640)
    with pytest.raises(ConfigError, match="others may read"):
        unlock(file, WORDS)


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that open at once."""
    monkeypatch.setattr(protected_keys, "SCRYPT_N", 1 << 10)


def test_openssl_reads_it(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not on this machine")
    make_protected_key(tmp_path / "k.pem", WORDS)
    read = [openssl, "pkey", "-in", str(tmp_path / "k.pem"), "-passin", f"pass:{WORDS}", "-text", "-noout"]
    assert b"ED25519" in subprocess.run(read, capture_output=True, check=True).stdout


@pytest.mark.usefixtures("cheap")
def test_keygen_makes_and_converts(tmp_path: Path) -> None:
    clear, passphrase = tmp_path / "clear.key", tmp_path / "words"
    public = make_key(clear)
    passphrase.write_text(WORDS + "\n", encoding="utf-8")
    arguments = [
        "keygen",
        str(tmp_path / "p.pem"),
        "--protect",
        "--of",
        str(clear),
        "--passphrase-file",
        str(passphrase),
        "--json",
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["key_file"].endswith("p.pem")
    assert unlock(tmp_path / "p.pem", WORDS).public_key().public_bytes_raw() == public
    assert CliRunner().invoke(app, ["keygen", str(tmp_path / "q.key"), "--of", str(clear)]).exit_code == 1


# -------------------------------------------------------------------- settings


def toml(tmp_path: Path, **changes: str) -> Path:
    services = SETTINGS[SETTINGS.index("[office]") :]
    head = {"institution": '"bank-a"', **changes}
    lines = [f"{key} = {value}" for key, value in head.items()]
    people = '[[people]]\nid = "bank-a/liu"\nkey_file = "liu.pem"\n[[projects]]\nid = "p1"\n'
    file = tmp_path / "desk.toml"
    file.write_text("\n".join(lines) + "\n" + services + "\n" + people, encoding="utf-8")
    return file


def test_settings_are_read_relative_to_their_file(tmp_path: Path) -> None:
    config = DeskConfig.load(toml(tmp_path))
    assert (config.data_dir, config.host, config.address) == (tmp_path / "desk-data", "127.0.0.1", "http://127.0.0.1:8710")
    assert config.of("bank-a/liu").key_file == tmp_path / "liu.pem"
    with pytest.raises(ConfigError, match=r"keygen --protect"):
        config.check_files()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hosts": '"x"'}, "hosts"),
        ({"host": '"0.0.0.0"'}, "passphrases would travel in the clear"),
        ({"host": '"0.0.0.0"', "public_url": '"https://desk.example"'}, "passphrases would travel in the clear"),
        ({"certificate": '"c.pem"'}, "go together"),
        ({"public_url": '"desk.example"'}, "public_url"),
        ({"idle_minutes": "60"}, "idle_minutes"),
        ({"port": "0"}, "port"),
        ({"institution": '"bank-b"'}, "bank-b/NAME"),
    ],
)
def test_settings_that_do_not_fit_stop_the_start(tmp_path: Path, changes: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        DeskConfig.load(toml(tmp_path, **changes))
    result = CliRunner().invoke(app, ["desk", "--config", str(tmp_path / "desk.toml")])
    assert result.exit_code == 1
    assert said in result.stderr


@pytest.mark.usefixtures("cheap")
def test_desk_checks_settings_without_serving(tmp_path: Path) -> None:
    config = toml(tmp_path)
    make_protected_key(tmp_path / "liu.pem", WORDS)
    result = CliRunner().invoke(app, ["desk", "--config", str(config), "--check", "--json"])
    assert json.loads(result.stdout) == {"address": "http://127.0.0.1:8710", "people": 1}


# -------------------------------------------------------------------- the ledger


def check(handle: str, at: int = 1_000) -> Check:
    return Check(handle, "bank-a/liu", at, "p1", "loan-approval", f"ref {handle}", "1101••••1027", ASKING)


def test_the_ledger_keeps_what_is_open_and_forgets_in_time(tmp_path: Path) -> None:
    ledger, late = Ledger(tmp_path / "d" / "desk.sqlite", 0), 1_000 + KEPT_DAYS * DAY + 1
    for handle in ("open", "refused", "decided", "under-way"):
        ledger.begin(check(handle))
    for handle in ("open", "decided", "under-way"):
        ledger.spent(handle, "digest")
    ledger.end("open", ANSWERED, leaf=7)
    ledger.end("refused", REFUSED, problem="no-consent")
    ledger.end("decided", ANSWERED, leaf=8)
    ledger.decide("decided", "approved", "ref", 2_000, "report")
    assert [row.handle for row in ledger.open_of("bank-a/liu")] == ["open"]
    assert ledger.open_of("bank-a/other") == []
    masks = {row.handle: row.mask for row in ledger.since("bank-a/liu", 0)}
    assert masks == {"open": "1101••••1027", "refused": "", "decided": "", "under-way": "1101••••1027"}
    ledger.close()

    again = Ledger(tmp_path / "d" / "desk.sqlite", late)
    assert {row.handle: row.state for row in again.since("bank-a/liu", 0)} == {"open": ANSWERED, "under-way": INTERRUPTED}
    assert len(again.open_of("bank-a/liu")) == 2, "what was interrupted with a ticket spent is open"
    again.forget(1_000 + MASK_DAYS * DAY + 1)
    assert {row.mask for row in again.open_of("bank-a/liu")} == {""}
    again.close()
    assert b"1101" not in (tmp_path / "d" / "desk.sqlite").read_bytes(), "what was erased is gone from the file"


# -------------------------------------------------------------------- masks


def test_a_mask_shows_too_little_to_find_a_person() -> None:
    assert mask("citizen:11010519491231002X") == "1101••••••••••002X"
    assert mask("opaque:s00012") == "••••12"
    assert mask("opaque:x") == "•"


def test_an_id_in_a_reference_is_seen() -> None:
    assert named_in("loan of 11010519491231002x, spring")
    assert named_in("91110000600037341L")
    assert not named_in("CG-2026-000123456789012345")
