"""Everything that runs: Postgres, two Redis servers, the lines of the Procfile, a mail server.

All of it stands in one throw-away folder, where ``dev.py drill`` has started Postgres and the
cache's Redis; the broker is a Redis of its own in ``broker/``. Each part can be taken away.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from benchmarks import commands
from core import embedded
from core.addresses import redis_database
from core.embedded import procfile, record, throwaway
from core.embedded.processes import free_port, identity

from .sink import Sink

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60
STOP_SECONDS = 30
READY = {"worker": " ready.", "bulk": " ready.", "beat": "beat: Starting"}


class StageFailed(Exception):
    """The site could not be set up, or a part of it did not do what it was told."""


def wait_for(condition: Callable[[], Any], seconds: float, otherwise: Callable[[], str]) -> None:
    """Wait until ``condition()`` holds; raises ``StageFailed`` with ``otherwise()``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise StageFailed(otherwise())
        time.sleep(0.05)


class Program:
    """One line of the Procfile in a process group of its own, with a log of its own."""

    def __init__(self, name: str, env: dict[str, str], folder: Path):
        self.name, self.env = name, env
        self.command = procfile.commands(ROOT)[name]
        self.log = folder / f"{name}.log"
        self.process: subprocess.Popen | None = None
        self.since = 0  # byte of the log at which this run of it begins

    def start(self) -> None:
        self.since = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", self.command],
                cwd=ROOT,
                env=self.env,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else 0

    def signal(self, number: int) -> None:
        """To every process of the group, or to none when it has gone."""
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """No word to anybody, and nothing is finished."""
        self.signal(signal.SIGKILL)
        if self.process:
            self.process.wait(STOP_SECONDS)

    def end(self) -> None:
        """In order, as a service manager does: the main process is told, what is left is killed."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        self.kill()

    def hang(self) -> None:
        self.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.signal(signal.SIGCONT)

    def workers(self) -> list[int]:
        """The pids of the main process' children."""
        return sorted(child.pid for child in psutil.Process(self.pid).children())

    def words(self) -> str:
        """What it has said since it was started."""
        with open(self.log, "rb") as file:
            file.seek(self.since)
            return file.read().decode(errors="replace")

    def last_words(self) -> str:
        return f"{self.name}: {self.words()[-1500:]}"


class RedisServer:
    """One of the two; its folder is its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.start()

    def start(self) -> None:
        """On the port it had, with what it had saved."""
        self.url = str(embedded.start(self.folder, services=["redis"]).redis_url)

    @property
    def pid(self) -> int:
        return record.read(self.folder)["redis"].pid

    def stop(self) -> None:
        """In order: it saves what it holds."""
        embedded.stop(self.folder, ["redis"])

    def kill(self) -> None:
        """What was written since the last save is gone."""
        _kill(self.pid)

    def hang(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)


class Postgres:
    def __init__(self, folder: Path):
        self.folder = folder
        self.start()

    def start(self) -> None:
        self.url = str(embedded.start(self.folder, services=["postgres"]).database_url)

    def stop(self) -> None:
        """In order: clients are cut off, what they were told is kept."""
        embedded.stop(self.folder, ["postgres"])

    def kill(self) -> None:
        _kill(record.read(self.folder)["postgres"].pid)


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: identity(pid) is None, STOP_SECONDS, lambda: f"{pid} outlived SIGKILL")


class Stage:
    """The whole site. ``with Stage(…).running():`` and it stands; after that nothing is left."""

    def __init__(self, folder: Path, env: dict[str, str], *, hasty: bool, say: Callable):
        self.folder, self.hasty, self.say = folder, hasty, say
        self.port = free_port()
        self.sink = Sink()
        self.known: dict[str, Any] = {}
        self.env = env
        self.programs: dict[str, Program] = {}

    @contextlib.contextmanager
    def running(self) -> Iterator[Stage]:
        (self.folder / "broker").mkdir(exist_ok=True)
        try:
            self.postgres = Postgres(self.folder)
            self.redis = RedisServer(self.folder)
            self.broker = RedisServer(self.folder / "broker")
            self._fill()
            self.sink.start()
            self._start()
            yield self
        finally:
            self._end()

    def _fill(self) -> None:
        self.env = self.env | {
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.redis.url,
            "CELERY_BROKER_URL": redis_database(self.broker.url, 0),
            "EMAIL_URL": self.sink.url,
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "WEB_WORKERS": "2",
            "TRUSTED_PROXY_HOPS": "1",
            "STATIC_ROOT": str(self.folder / "static"),
        }
        self.manage("Migrating", "manage.py", "migrate", "--noinput")
        if not self.hasty:
            self.manage("Collecting static files", "manage.py", "collectstatic", "--noinput")
        self.manage("Loading the demo content", "manage.py", "load_demo")
        hasty = ["--hasty"] if self.hasty else []
        self.manage("Preparing members", "-m", "drills.prepare", str(self.folder), *hasty)
        self.known = json.loads((self.folder / "known.json").read_text())

    def manage(self, what: str, *words: str) -> None:
        """Run a command of the site; raises ``StageFailed`` with its last words."""
        commands.run(what, words, self.env, self.say, StageFailed)

    def _start(self) -> None:
        began = time.monotonic()
        for name in procfile.commands(ROOT):
            self.programs[name] = Program(name, self.env, self.folder)
            self.start(name)
        self.wait_until_ready()
        self.say(f"· Starting {', '.join(self.programs)} … {time.monotonic() - began:.1f} s")

    def start(self, name: str) -> None:
        """Start a program, and note it for those who sweep up after a killed run."""
        self.programs[name].start()
        running = {each.name: each.pid for each in self.programs.values()}
        procfile.note(self.folder / throwaway.RUNNING, running)

    def revive(self) -> list[str]:
        """Start what has ended by itself, as a service manager does; what it said last."""
        dead = [
            each
            for each in self.programs.values()
            if each.process and each.process.poll() is not None
        ]
        words = [program.last_words() for program in dead]
        for program in dead:
            self.start(program.name)
        return words

    def wait_until_ready(self) -> None:
        """Until every program has started; raises ``StageFailed`` when one has ended."""
        for name, program in self.programs.items():
            self._wait_for(name, program)

    def _wait_for(self, name: str, program: Program) -> None:
        def is_ready() -> bool:
            if program.process and program.process.poll() is not None:
                raise StageFailed(f"it ended: {program.last_words()}")
            if name == "web":
                return self.answers()
            return READY[name] in program.words()

        wait_for(is_ready, START_SECONDS, program.last_words)

    def answers(self) -> bool:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(line):
            line.request("GET", "/healthz")
            return line.getresponse().status == 200
        return False

    def _end(self) -> None:
        """Whatever state a fault left, everything ends."""
        for program in self.programs.values():
            program.go_on()
            if program.process and program.process.poll() is None:
                program.process.terminate()
        for program in self.programs.values():
            program.end()
        for name in ("redis", "broker"):
            if server := getattr(self, name, None):
                server.go_on()
        with contextlib.suppress(AssertionError):  # it was not started
            self.sink.stop()
        embedded.remove(self.folder / "broker")
        embedded.remove(self.folder)

    def sql(self, statement: str) -> list[tuple]:
        """The rows of one statement on a connection of its own."""
        with contextlib.closing(psycopg2.connect(self.postgres.url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
