"""A Postgres and a Redis of the project's own, for a machine that names no servers.

Standard library only, and no settings: ``manage.py services``, ``dev.py`` and the settings
themselves use it. One folder holds one pair::

    services.json    addresses, passwords and pids (mode 0600); kept between runs
    services.lock    held while somebody starts or stops the pair
    postgres/        postgresql.conf, pg_hba.conf, postgres.log, data/
    redis/           redis.conf, redis.log, dump.rdb

Run as root from a place that no other account reaches, Postgres has its folder and a copy of its
programs in ``/var/lib/cgbookstore/<hash of the folder>`` instead (account.py). A server that this
package did not start is never touched. All durations are in seconds. Linux and macOS; elsewhere
only ``addresses`` works, and finds nothing.
"""

import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import account, postgres, record, redis
from .errors import EmbeddedError, ServicesMissing, SetUpMissing
from .record import Server

__all__ = [
    "SERVICES",
    "Addresses",
    "EmbeddedError",
    "ServicesMissing",
    "SetUpMissing",
    "addresses",
    "main",
    "remove",
    "start",
    "status",
    "stop",
]

SERVICES = {"postgres": postgres, "redis": redis}


@dataclass(frozen=True)
class Addresses:
    """Where the pair of ``folder`` listens; ``None`` for a server that was not asked for."""

    folder: Path
    database_url: str | None
    redis_url: str | None
    started: tuple[str, ...] = field(default=(), compare=False)  # by this call, for its stop()


def addresses(folder: Path) -> Addresses | None:
    """Read ``services.json``; ``None`` when nothing was started there or a server of it is dead.

    Cheap enough for settings: one file and one look at each process, no lock and no connection.
    """
    servers = {name: server for name, server in record.read(folder).items() if server.pid}
    if not servers or not all(server.alive for server in servers.values()):
        return None
    urls = {
        name: SERVICES[name].url(server) for name, server in servers.items() if name in SERVICES
    }
    return Addresses(folder, urls.get("postgres"), urls.get("redis"))


def start(
    folder: Path, *, durable: bool = True, services: Collection[str] = tuple(SERVICES)
) -> Addresses:
    """Start what is not running of ``services``; returns the addresses of all that runs.

    Takes 0.5 s, and as much again the first time. ``durable=False`` is for data that nobody will
    miss: nothing waits for the disk. Holds the folder's lock. Raises ``EmbeddedError``, and then
    leaves nothing running that it started.
    """
    if os.name != "posix":
        raise EmbeddedError(
            "Postgres and Redis cannot be started on Windows: work under WSL2, or name your servers "
            "as DATABASE_URL and REDIS_URL in .env."
        )
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with record.locked(folder):
        servers = record.read(folder)
        started: list[str] = []
        try:
            for name in SERVICES:
                last = servers.get(name, Server())
                if name not in services or last.alive:
                    continue
                started.append(name)
                _end(folder, name, last)  # one that the record lost
                servers[name] = SERVICES[name].start(folder, last, durable=durable)
                record.write(folder, servers)
        except BaseException:
            for name in started:
                servers[name] = _end(folder, name, servers.get(name, Server()))
            record.write(folder, servers)
            raise
    found = addresses(folder)
    if found is None:
        raise EmbeddedError(f"A server ended right after its start; see the logs in {folder}.")
    return replace(found, started=tuple(started))


def stop(folder: Path, services: Collection[str] = tuple(SERVICES)) -> tuple[str, ...]:
    """Stop ``services`` of the pair in ``folder``; returns the names of those that were running.

    Postgres gets 30 s for an orderly end and Redis 20 s to save; then they are killed.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        return ()
    with record.locked(folder):
        before = record.read(folder)
        running = tuple(name for name in services if before.get(name, Server()).alive)
        after = {name: _end(folder, name, before.get(name, Server())) for name in services}
        if before:
            record.write(folder, before | after)
    return running


def status(folder: Path) -> dict[str, str]:
    """One line for each server, without its password; ``stopped`` for one that does not run."""
    lines = dict.fromkeys(SERVICES, "stopped")
    for name, server in record.read(folder.resolve()).items():
        if name in SERVICES and server.alive:
            lines[name] = (
                f"running at 127.0.0.1:{server.port}, pid {server.pid}, "
                f"in {server.place}, log {SERVICES[name].log(server)}"
            )
    return lines


def remove(folder: Path) -> None:
    """Stop the pair and delete all it wrote, inside ``folder`` and outside; for throwaway pairs."""
    folder = folder.resolve()
    stop(folder)
    outside = account.home(folder)
    for path in (folder / "postgres", folder / "redis", outside):
        if path:
            shutil.rmtree(path, ignore_errors=True)
    for name in ("services.json", "services.lock"):
        (folder / name).unlink(missing_ok=True)


def _end(folder: Path, name: str, server: Server) -> Server:
    """Stop one server, be it in the record or only in its own pid file; returns it as stopped."""
    service = SERVICES[name]
    if server.alive:
        service.stop(Path(server.place), server.pid)
    for place in service.places(folder):
        if pid := service.find(place):
            service.stop(place, pid)
    return replace(server, pid=0, start="")


def main(argv: list[str]) -> int:
    """``manage.py services [start|stop|status]``; returns the exit code."""
    from .terminal import run

    return run(argv)
