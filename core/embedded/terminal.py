"""``manage.py services``: the pair by hand, in the background or in this terminal."""

import argparse
import signal
import sys
import threading
from pathlib import Path

from . import addresses, start, status, stop
from .errors import EmbeddedError

FOLDER = Path(__file__).resolve().parent.parent.parent / ".local"
NOT_RUNNING = 3  # what service managers answer for `status`
LOOK_SECONDS = 2


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _show(folder: Path) -> None:
    for name, line in status(folder).items():
        _say(f"{name:9} {line}")


def _hold(folder: Path) -> int:
    """Keep the pair until Ctrl-C, SIGTERM or a closed terminal; stop what this call started."""
    done = threading.Event()
    for name in {"SIGINT", "SIGTERM", "SIGHUP"} & {member.name for member in signal.Signals}:
        signal.signal(signal.Signals[name], lambda *_: done.set())
    found = start(folder)
    try:
        _show(folder)
        if not found.started:
            _say("They run already, so there is nothing to hold here: `services stop` ends them.")
            return 0
        _say("Passwords are in services.json. Ctrl-C stops them.")
        while not done.wait(LOOK_SECONDS):
            if addresses(folder) is None:
                raise EmbeddedError(f"A server of the pair ended; see the logs in {folder}.")
        return 0
    finally:
        stop(folder, found.started)


def run(argv: list[str]) -> int:
    """Answer one command line; 0, or 1 with a sentence on stderr, or 3 for a ``status`` of stopped."""
    parser = argparse.ArgumentParser(
        prog="manage.py services",
        description="The project's own Postgres and Redis, for when .env names no servers. Without a "
        "word they run in this terminal until Ctrl-C.",
    )
    parser.add_argument("action", nargs="?", choices=["start", "stop", "status"])
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where they live (%(default)s)")
    asked = parser.parse_args(argv)
    try:
        if asked.action is None:
            return _hold(asked.folder)
        if asked.action == "start":
            start(asked.folder)
        elif asked.action == "stop":
            stop(asked.folder)
        _show(asked.folder)
    except EmbeddedError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    running = "stopped" not in status(asked.folder).values()
    return 0 if running or asked.action != "status" else NOT_RUNNING
