"""Settings: what is wrong is named by its key, and no value of a secret or an id is shown."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.verifier.note import CosignatureSigner, NoteSigner
from bank_client.config import BankConfig, ConfigError, NodeSection, OfficeSection, make_key
from tests.conftest import ROOT

SEED = bytes(range(32))
STATEMENT = base64.b64encode(Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()).decode()
LOG = str(NoteSigner.from_seed("some.example/log", SEED).key)
WITNESS = str(CosignatureSigner.from_seed("some.example/witness", bytes(32)).key)

SETTINGS = f"""
institution = "bank-a"
person = "bank-a/liu"
key_file = "liu.key"

[office]
url = "http://127.0.0.1:8700"
statement_key = "{STATEMENT}"
log_key = "{LOG}"
witness_key = "{WITNESS}"

[node]
url = "http://127.0.0.1:8701"
log_key = "{LOG}"
witness_key = "{WITNESS}"
"""


def load(folder: Path, text: str = SETTINGS) -> BankConfig:
    file = folder / "bank.toml"
    file.write_text(text, encoding="utf-8")
    return BankConfig.load(file)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    config = load(tmp_path)
    assert config.key_file == tmp_path.resolve() / "liu.key"
    assert config.data_dir == tmp_path.resolve() / "bank-data"
    assert config.witness_keys("node")[0].name == "some.example/witness"


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ('person = "bank-a/liu"', 'person = "bank-b/liu"', "person"),
        ('institution = "bank-a"', 'institution = "bank-a"\ncolour = "red"', "colour"),
        ("[node]", "[node]\nproxy = 1", "proxy"),
        ('url = "http://127.0.0.1:8701"', 'url = "127.0.0.1:8701"', "node.url"),
        (f'statement_key = "{STATEMENT}"', 'statement_key = "AAAA"', "office.statement_key"),
        (f'log_key = "{LOG}"', f'log_key = "{WITNESS}"', "log_key"),
        (f'witness_key = "{WITNESS}"\n\n[node]', 'witness_key = ""\n\n[node]', "office.witness_key"),
        ('key_file = "liu.key"', "", "key_file"),
        ("[office]", "[office", "TOML"),
    ],
    ids=[
        "foreign-person",
        "unknown-key",
        "unknown-key-in-section",
        "url",
        "short-key",
        "mixed-keys",
        "no-witness",
        "missing",
        "toml",
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, before: str, after: str, named: str) -> None:
    assert before in SETTINGS
    with pytest.raises(ConfigError, match=named):
        load(tmp_path, SETTINGS.replace(before, after, 1))


def test_a_missing_file_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="XINQIAO_BANK_CONFIG"):
        BankConfig.load(tmp_path / "none.toml")


def test_a_key_is_made_once_and_read_only_while_it_is_private(tmp_path: Path) -> None:
    config = load(tmp_path)
    with pytest.raises(ConfigError, match="keygen"):
        config.load_key()
    public = make_key(config.key_file)
    assert config.load_key().public_key().public_bytes_raw() == public
    with pytest.raises(FileExistsError):
        make_key(config.key_file)
    config.key_file.chmod(0o644)
    with pytest.raises(ConfigError, match="others may read"):
        config.load_key()


def test_ids_are_canonical_and_a_bad_one_is_not_shown(tmp_path: Path) -> None:
    national = load(tmp_path)
    assert national.canonical("11010519491231002x") == "citizen:11010519491231002X"
    with pytest.raises(ConfigError) as refused:
        national.canonical("110105194912310021")
    assert "110105194912310021" not in str(refused.value)
    opaque = load(tmp_path, 'identity = "opaque"\n' + SETTINGS)
    assert opaque.canonical("17") == opaque.canonical("opaque:17") == "opaque:17"


def test_every_setting_is_documented() -> None:
    documented = (ROOT / "docs" / "bank.md").read_text(encoding="utf-8")
    names = set(BankConfig.__struct_fields__) - {"office", "node"}
    names |= {f"office.{name}" for name in OfficeSection.__struct_fields__}
    names |= {f"node.{name}" for name in NodeSection.__struct_fields__}
    assert [name for name in sorted(names) if f"`{name}`" not in documented] == []
