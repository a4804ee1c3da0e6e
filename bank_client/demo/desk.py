"""The county's officers at their desk: what `make up` leaves running beside the two services."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx2

from bank_client.config import load_key
from bank_client.demo.county_job import BANK, OFFICER, OTHER_OFFICER, CountyJob
from bank_client.demo.town import HOST, START_SECONDS, ServiceDied, free_port
from models.protected_keys import protect
from models.durable import write_private

SETTINGS = """\
institution = {bank}
data_dir = "data"
port = {port}

[office]
url = {office_url}
statement_key = {statement_key}
log_key = {office_log}
witness_key = {office_witness}

[node]
url = {node_url}
log_key = {node_log}
witness_key = {node_witness}

[[projects]]
id = {project}
label_zh = "贷款受理（演示）"
label_en = "Loan applications (demonstration)"
"""
PERSON = "\n[[people]]\nid = {id}\nname = {name}\nkey_file = {file}\n"


@dataclass(frozen=True)
class RunningDesk:
    """Where the desk answers, the file with its people's passphrase, and its process."""

    url: str
    passphrase_file: Path
    pid: int


def start_desk(job: CountyJob, folder: Path) -> RunningDesk:
    """Protect the officers' keys under one fresh passphrase, write the settings and serve; raises `ServiceDied`."""
    folder.mkdir(mode=0o700)
    passphrase, port = "-".join(secrets.token_hex(2) for _ in range(5)), free_port()
    write_private(folder / "passphrase", passphrase.encode() + b"\n")
    town = job.town
    people = ""
    for person in (OFFICER, OTHER_OFFICER):
        file = folder / f"{person.replace('/', '.')}.pem"
        protect(load_key(town.key_file(person)), file, passphrase)
        people += PERSON.format(id=_toml(person), name=_toml(job.name_of(person)), file=_toml(file.name))
    values = {
        "bank": BANK,
        "office_url": town.office.url,
        "statement_key": town.office_keys["statement_key"],
        "office_log": town.office_keys["log"],
        "office_witness": " ".join(town.cosigners("node")),
        "node_url": town.node.url,
        "node_log": town.node_keys["log"],
        "node_witness": " ".join(town.cosigners("office")),
        "project": job.window,
    }
    settings = SETTINGS.format(port=port, **{name: _toml(value) for name, value in values.items()}) + people
    write_private(folder / "desk.toml", settings.encode())
    command = [sys.executable, "-m", "bank_client", "bank", "desk", "--config", str(folder / "desk.toml")]
    with (folder / "desk.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)  # noqa: S603 - our own program
    url = f"http://{HOST}:{port}"
    _wait(url, process, folder / "desk.log")
    return RunningDesk(url, folder / "passphrase", process.pid)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx2.get(f"{url}/signin", trust_env=False).status_code == httpx2.codes.OK:
                return
        except httpx2.TransportError:
            time.sleep(0.1)
    process.terminate()
    raise ServiceDied(f"the desk did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # a JSON string is a TOML basic string
