"""The builder as a process of its own beside the service: it is started again when it dies, and ends with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

AGAIN_SECONDS = 1.0
PATIENCE_SECONDS = 10.0
_NICENESS = 5


@contextmanager
def builder_beside() -> Iterator[None]:
    """Run ``xinqiao node builder`` with this process's settings until the block ends."""
    stopping = threading.Event()
    running: list[subprocess.Popen[bytes]] = []
    begun = threading.Event()

    def keep() -> None:
        while not stopping.is_set():
            # What the child reads of is a pipe that ends when this process does, however that comes about.
            command = [sys.executable, "-m", "sharing_node", "builder", "--beside"]
            running[:] = [subprocess.Popen(command, stdin=subprocess.PIPE)]  # noqa: S603 - our own command
            begun.set()
            running[0].wait()
            stopping.wait(AGAIN_SECONDS)

    thread = threading.Thread(target=keep, name="builder-keeper", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        begun.wait()
        _end(running[0])
        thread.join()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def yield_to_the_service() -> None:
    """End when the parent does, in order if there is time, and leave the cores to whoever answers people.

    To be called before anything else: what is slow to import must not outlive the parent either.
    """
    os.nice(_NICENESS)

    def watch() -> None:
        # Not through sys.stdin, whose lock a thread that waits for it would hold when the interpreter ends.
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(PATIENCE_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def stop_on_signals() -> threading.Event:
    """Set when this process is told to stop."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
