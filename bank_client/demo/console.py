"""The office's console: what `make up` leaves running for the credit office's people beside the services."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bank_client.config import load_key
from bank_client.demo.town import FIRST_CLERK, WINDOW, Town, free_port, toml_text, wait_for
from models.durable import write_private
from models.protected_keys import protect

MODULE = [sys.executable, "-m", "audit.console"]
SETTINGS = """\
data_dir = "data"
port = {port}
window = {window}
window_key = {window_key}
{services}"""


@dataclass(frozen=True)
class RunningConsole:
    """Where the console answers, the file that says who signs in how, and its process."""

    url: str
    sign_in_file: Path
    pid: int


def start_console(town: Town, people: dict[str, tuple[str, str]], folder: Path) -> RunningConsole:
    """Serve the console for some people of the office (name and role by id, beside the first clerk); raises `ServiceDied`.

    Their keys come under one fresh passphrase; it stands in a file, with the one-time code of each for the second factor.
    """
    folder.mkdir(mode=0o700)
    passphrase, port = "-".join(secrets.token_hex(2) for _ in range(5)), free_port()
    window_key = toml_text(str(town.key_file(WINDOW).resolve()))
    settings = SETTINGS.format(port=port, window=toml_text(WINDOW), window_key=window_key, services=town.sections())
    file = folder / "console.toml"
    write_private(file, settings.encode())
    lines = [f"passphrase of every key: {passphrase}", ""]
    for person, (name, role) in {FIRST_CLERK: ("张明理", "clerk"), **people}.items():
        key_file = folder / f"{person.replace('/', '.')}.pem"
        protect(load_key(town.key_file(person)), key_file, passphrase)
        add = ["add-person", "--id", person, "--name", name, "--key-file", str(key_file), "--config", str(file)]
        done = subprocess.run([*MODULE, *add], capture_output=True, text=True, check=True)  # noqa: S603 - our own program
        lines.append(f"{name}, {role} ({person}): one-time code {json.loads(done.stdout)['code']}")
    write_private(folder / "sign-in.txt", ("\n".join(lines) + "\n").encode())
    with (folder / "console.log").open("ab") as log:
        command = [*MODULE, "serve", "--config", str(file)]
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)  # noqa: S603 - our own program
    url = f"http://localhost:{port}"  # a name: a passkey belongs to none of the numbers
    wait_for(url, "console", process, folder / "console.log")
    return RunningConsole(url, folder / "sign-in.txt", process.pid)
