"""Servers that a test may stop, kill and reconfigure: a pair of its own, and what stands before it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest
from django.conf import settings

from core import embedded
from core.embedded import account, postgres, throwaway
from core.embedded.processes import free_port, identity
from tests.servers import child_environment

TEMPLATE = "template_site"  # migrated, with the demo content
WAIT_SECONDS = 20


class Pair:
    """A Postgres and a Redis of the tests' own. Both keep their ports when they come back.

    They are durable: what they acknowledged outlives a kill.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.start()

    def start(self, *services: str) -> None:
        """Start those that do not run; all of them unless ``services`` names some."""
        found = embedded.start(self.folder, services=services or tuple(embedded.SERVICES))
        if found.database_url and found.redis_url:
            self.database_url, self.redis_url = found.database_url, found.redis_url

    def stop(self, *services: str) -> None:
        """In order: clients are cut off, what they were told is kept."""
        embedded.stop(self.folder, services)

    @property
    def postgres_home(self) -> Path:
        return next(
            place for place in postgres.places(self.folder) if (place / "data/PG_VERSION").exists()
        )

    def kill_postgres(self) -> None:
        """As the machine does when memory runs out: no word to any client."""
        pid = postgres.find(self.postgres_home)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: identity(pid) is None, "Postgres outlived SIGKILL")

    def url(self, database: str) -> str:
        return f"{self.database_url.rpartition('/')[0]}/{database}"

    def ask(self, sql: str, *words: object, database: str = "postgres") -> list[tuple]:
        """One statement on a connection of its own; its rows, or none."""
        return ask(self.url(database), sql, *words)

    def manage(self, database: str, *words: str, **changes: str) -> subprocess.CompletedProcess:
        """Run a command of the site on a database of this pair; never raises for its exit code."""
        environment = {"DATABASE_URL": self.url(database), "REDIS_URL": self.redis_url, **changes}
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=settings.BASE_DIR,
            env=child_environment(**environment),
            capture_output=True,
            text=True,
            check=False,
        )

    def new_site(self, name: str) -> str:
        """A database with the demo content; returns its address. A copy, so after the first cheap."""
        if not self.ask("SELECT 1 FROM pg_database WHERE datname = %s", TEMPLATE):
            self.ask(f"CREATE DATABASE {TEMPLATE}")
            for words in (["migrate", "-v0"], ["load_demo"]):
                done = self.manage(TEMPLATE, *words)
                assert done.returncode == 0, done.stderr
        self.ask(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self.ask(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return self.url(name)


@contextlib.contextmanager
def private_pair() -> Iterator[Pair]:
    """Yield a pair of the tests' own; it and its data are gone after."""
    with throwaway.folder() as folder:
        yield Pair(folder)


def ask(url: str, sql: str, *words: object) -> list[tuple]:
    """One statement at ``url``, in a transaction of its own only where it needs none."""
    with contextlib.closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql, words or None)
            return cursor.fetchall() if cursor.description else []


def wait_for(condition, otherwise, seconds: float = WAIT_SECONDS) -> None:
    """Wait until ``condition()`` holds; fail with ``otherwise``, words or who says them."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, otherwise() if callable(otherwise) else otherwise
        time.sleep(0.05)


def program(name: str, package: str) -> str:
    """The path of an installed program. Skips without one, fails with CI=true, as the browser does."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if found is None:
        reason = f"No {name} is installed (Debian: apt install {package})."
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    return found


BOUNCER = settings.BASE_DIR / "deploy/pgbouncer.ini"


def bouncer_conf(databases: list[str], port: int, users: Path, admin: str, more: str) -> str:
    """The deployed file with the databases, port and users of a test, and ``more`` at its end."""
    text = BOUNCER.read_text()
    lines = {
        "cgbookstore": "\n".join(databases),
        "listen_port": f"listen_port = {port}",
        "auth_file": f"auth_file = {users}",
        "admin_users": f"admin_users = {admin}",
    }
    for name, line in lines.items():
        text, found = re.subn(rf"(?m)^{name} = .*$", lambda _old, line=line: line, text)
        assert found == 1, name
    return f"{text}\n{more}\n"


class Bouncer:
    """PgBouncer before ``pair``: each database by its own name, in the pool mode given with it."""

    def __init__(self, pair: Pair, folder: Path, modes: dict[str, str], more: str):
        parts = urlsplit(pair.database_url)
        self.user, self.password, self.port = parts.username, parts.password, free_port()
        target = f"host=127.0.0.1 port={parts.port}"
        rows = [f"{name} = {target} {words}" for name, words in modes.items()]
        text = bouncer_conf(
            rows, self.port, folder / "users", str(self.user), more.format(folder=folder)
        )
        who = account.account(folder / "nothing")  # PgBouncer refuses to run as root
        (folder / "bouncer.ini").write_text(text)
        with (folder / "users").open("a") as users:
            users.write(f'"{self.user}" "{self.password}"\n')
        for path in folder.iterdir():
            path.chmod(0o600)
            if who:
                os.chown(path, who.uid, who.gid)
        self.log = folder / "bouncer.log"
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                [program("pgbouncer", "pgbouncer"), folder / "bouncer.ini"],
                cwd="/",
                stdout=out,
                stderr=out,
                **(who.for_process() if who else {}),
            )
        wait_for(self._listens, "PgBouncer did not start")

    def _listens(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def url(self, database: str) -> str:
        return f"postgres://{self.user}:{self.password}@127.0.0.1:{self.port}/{database}"

    def reconnect(self) -> None:
        """What an operator types in the console after `set_role_defaults`."""
        ask(self.url("pgbouncer"), "RECONNECT")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        finally:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def pgbouncer(
    pair: Pair, *, more: str = "", files: dict[str, str] | None = None, **modes: str
) -> Iterator[Bouncer]:
    """Yield PgBouncer. ``modes``: each database and what its line says; ``files``: put beside it.

    ``more`` is lines of its configuration, where ``{folder}`` is where those files are.
    """
    with throwaway.folder() as folder:
        for name, text in (files or {}).items():
            (folder / name).write_text(text)
        found = Bouncer(pair, folder, modes, more)
        try:
            yield found
        finally:
            found.stop()
