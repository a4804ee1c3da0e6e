"""The county's officers at their desk: what `make up` leaves running beside the two services."""

from __future__ import annotations

import secrets
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bank_client.config import load_key
from bank_client.demo.county_job import BANK, OFFICER, OTHER_OFFICER, CountyJob
from bank_client.demo.town import HOST, free_port, toml_text, wait_for
from models.durable import write_private
from models.protected_keys import protect

SETTINGS = """\
institution = {bank}
data_dir = "data"
port = {port}
{services}
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
        people += PERSON.format(id=toml_text(person), name=toml_text(job.name_of(person)), file=toml_text(file.name))
    settings = SETTINGS.format(bank=toml_text(BANK), port=port, services=town.sections(), project=toml_text(job.window))
    settings += people
    write_private(folder / "desk.toml", settings.encode())
    command = [sys.executable, "-m", "bank_client", "bank", "desk", "--config", str(folder / "desk.toml")]
    with (folder / "desk.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)  # noqa: S603 - our own program
    url = f"http://{HOST}:{port}"
    wait_for(url, "desk", process, folder / "desk.log")
    return RunningDesk(url, folder / "passphrase", process.pid)
