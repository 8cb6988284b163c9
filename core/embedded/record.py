"""``services.json``: what the pair of one folder remembers between runs, and its lock.

The file holds the passwords, so it is for its owner only (0600), and it is replaced
whole, so a reader never sees half of it. ``services.lock`` beside it is held while
somebody starts or stops; readers take no lock.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from .account import home
from .errors import EmbeddedError
from .processes import identity

LOCK_SECONDS = 180  # longer than the slowest start or stop, so a waiter sees its end


@dataclass(frozen=True)
class Server:
    """One server. ``pid`` 0 means that it was stopped, or never started."""

    port: int = 0
    password: str = ""
    binary: str = ""
    place: str = ""  # its folder: configuration, log, data
    pid: int = 0
    start: str = ""  # processes.identity() of the pid

    @property
    def alive(self) -> bool:
        return self.pid > 0 and identity(self.pid) == self.start


def read(folder: Path) -> dict[str, Server]:
    """The servers by name; none when the file is missing, not ours to read, damaged or a copy.

    A copied folder brings the record of the original's servers along: those are not its own.
    """
    homes = [str(place) for place in (folder.resolve(), home(folder)) if place]
    known = {field.name: field.type for field in fields(Server)}
    try:
        rows = json.loads((folder / "services.json").read_text())
        servers = {
            name: Server(**{k: row[k] for k in known if k in row}) for name, row in rows.items()
        }
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
    sound = all(type(getattr(server, k)) is known[k] for server in servers.values() for k in known)
    if not sound:
        return {}
    return {name: row for name, row in servers.items() if str(Path(row.place).parent) in homes}


def write(folder: Path, servers: dict[str, Server]) -> None:
    """Replace the file. The caller holds the lock."""
    new = folder / "services.json.new"
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as file:
        json.dump({name: asdict(server) for name, server in servers.items()}, file, indent=2)
        file.write("\n")
    new.replace(folder / "services.json")


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold ``services.lock``, so that two starts at once do not fight; the second one waits."""
    import fcntl  # not on Windows, where settings still import this package

    deadline = time.monotonic() + LOCK_SECONDS
    with open(folder / "services.lock", "w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise EmbeddedError(
                        f"Another process has been starting or stopping the services of {folder} for "
                        f"{LOCK_SECONDS} seconds; see `python manage.py services status`."
                    ) from None
                time.sleep(0.05)
        yield
