"""Databases, their content, and the servers in front of them.

Everything stands in one throw-away folder with a Postgres and a Redis of its own, whose
addresses come from the environment: ``dev.py bench`` starts and removes them.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import psycopg2

from core import embedded
from core.embedded import record

from . import commands
from .server import BARE, SITE, Answer, Server, ServerFailed, running
from .wrk import Wrk

COMPLAINT = re.compile(r'"status":[45]\d\d|"level":"(?:WARNING|ERROR|CRITICAL)"|^Traceback')
MOST_COMPLAINTS = 20
CONTROL = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")
BEFORE = {"PAGE_CACHE": "off", "CONN_MAX_AGE": "0"}


@dataclass(frozen=True)
class Size:
    """How much ``seed_load`` is asked for."""

    topics: int
    posts: int
    users: int
    votes: int

    def words(self) -> list[str]:
        return [word for name, n in vars(self).items() for word in (f"--{name}", str(n))]


QUICK = Size(topics=2_000, posts=20_000, users=2_000, votes=20_000)
USUAL = Size(topics=10_000, posts=100_000, users=5_000, votes=100_000)
FULL = Size(topics=200_000, posts=2_000_000, users=100_000, votes=2_000_000)
SMALL = QUICK  # what the full size is compared with


@dataclass(frozen=True)
class Options:
    """``seconds`` is how long one run of the generator takes, ``rounds`` how many there are."""

    size: Size
    seconds: float = 8
    rounds: int = 5
    crowd: int = 10_000
    crowd_seconds: float = 60
    memory_requests: tuple[int, int] = (20_000, 100_000)
    before: bool = False
    full: bool = False


class Stage:
    """One database and what is asked of it. ``env`` is that of every process of the site."""

    def __init__(self, folder: Path, env: dict[str, str], options: Options, say: Callable):
        self.folder, self.options, self.say = folder, options, say
        self.env = env | {"TRUSTED_PROXY_HOPS": "1", "WEB_WORKERS": "1"}
        self.env |= BEFORE if options.before else {}
        self.log = folder / "web.log"
        self.wrk = Wrk(folder / "asked")
        self.asked = 0  # addresses of 192.0.2.0/24 and on that single questions used
        self.pages: dict[str, list[str]] = {}
        self.posts: dict[str, int] = {}

    # --- data ----------------------------------------------------------------------

    def manage(self, what: str, *words: str) -> str:
        """Run a command of the site; raises ``ServerFailed`` with its last words."""
        return commands.run(what, words, self.env, self.say, ServerFailed)

    def set_up(self, size: Size) -> None:
        """Fill the database and write what the generators send."""
        self.manage("Migrating", "manage.py", "migrate", "--noinput")
        if not Path(self.env["STATIC_ROOT"], "staticfiles.json").exists():
            self.manage("Collecting static files", "manage.py", "collectstatic", "--noinput")
        self.manage(f"Writing {size.posts:,} posts", "manage.py", "seed_load", *size.words())
        words = ["-m", "benchmarks.prepare", str(self.wrk.folder)]
        if self.options.before:
            words.append("--drop-indexes")
        dropped = self.manage("Preparing members and pages", *words).split()
        if self.options.before:
            self.say(f"  without the indexes {', '.join(dropped)}")
        known = json.loads((self.wrk.folder / "pages.json").read_text())
        self.pages, self.posts = known["paths"], known["posts"]
        self.sql("CHECKPOINT")

    def beside(self, name: str, size: Size) -> Stage:
        """A second database of the same Postgres, filled with ``size``."""
        self.sql(f"CREATE DATABASE {name}")
        base = self.env["DATABASE_URL"].rpartition("/")[0]
        folder = self.folder / name
        folder.mkdir()
        other = Stage(folder, self.env | {"DATABASE_URL": f"{base}/{name}"}, self.options, self.say)
        other.set_up(size)
        return other

    def sql(self, statement: str) -> list[tuple]:
        """Run one statement outside any transaction."""
        with contextlib.closing(psycopg2.connect(self.env["DATABASE_URL"])) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []

    def count(self, table: str) -> int:
        return self.sql(f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608  our own tables

    # --- servers -------------------------------------------------------------------

    def site(self, **changes: str) -> contextlib.AbstractContextManager[Server]:
        return running(SITE, self.env | changes, self.log)

    def bare(self, **changes: str) -> contextlib.AbstractContextManager[Server]:
        return running(BARE, self.env | changes, self.folder / "bare.log")

    def complaints(self, start: int) -> list[str]:
        """The first lines of the server's log after byte ``start`` that tell of a refusal or error."""
        with open(self.log, errors="replace") as file:
            file.seek(start)
            return list(
                islice((line.strip() for line in file if COMPLAINT.search(line)), MOST_COMPLAINTS)
            )

    @property
    def log_bytes(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0

    # --- single questions ----------------------------------------------------------

    def address(self) -> str:
        """An address that nobody had before; the generator's are all in 10.0.0.0/8."""
        self.asked += 1
        return f"198.18.{self.asked // 250 % 256}.{self.asked % 250}"

    def member(self, place: int = 0) -> str:
        """The cookies of one member."""
        line = (self.wrk.folder / "members.tsv").read_text().splitlines()[place]
        _pk, session, token = line.split("\t")
        return f"sessionid={session}; csrftoken={token}"

    def ask(self, server: Server, path: str, *, member: bool = False) -> Answer:
        """Ask once, as a reader with an address of their own; raises unless it is a page."""
        cookie = {"Cookie": self.member()} if member else {}
        answer = server.ask(path, X_Forwarded_For=self.address(), **cookie)
        if answer.status != 200:
            raise ServerFailed(f"{path} answered {answer.status}")
        if member and b"/conta/sair/" not in answer.body:
            raise ServerFailed(f"{path} does not know its member")
        return answer

    def statements(self, server: Server, paths: list[str], *, member: bool = False) -> float:
        """Statements that Postgres sees for each of ``paths``, transaction control left out.

        Postgres itself counts, by its log: what a connection asks of its own accord (its
        health check) is there too.
        """
        log = embedded.SERVICES["postgres"].log(record.read(self.folder_of_the_pair)["postgres"])
        with self._logged():
            start = log.stat().st_size
            for path in paths:
                self.ask(server, path, member=member)
            time.sleep(0.2)
            with open(log, errors="replace") as file:
                file.seek(start)
                seen = file.read()
        return count_statements(seen) / len(paths)

    @contextlib.contextmanager
    def _logged(self) -> Iterator[None]:
        for statement in ("ALTER SYSTEM SET log_statement = 'all'", "SELECT pg_reload_conf()"):
            self.sql(statement)
        time.sleep(0.5)
        try:
            yield
        finally:
            for statement in ("ALTER SYSTEM RESET log_statement", "SELECT pg_reload_conf()"):
                self.sql(statement)
            time.sleep(0.5)

    @property
    def folder_of_the_pair(self) -> Path:
        return next(
            f for f in (self.folder, *self.folder.parents) if (f / "services.json").exists()
        )


def count_statements(log: str) -> int:
    """How many statements of ``log_statement = all`` are more than transaction control."""
    words = [part.lstrip().split(None, 1) for part in log.split("LOG:  statement:")[1:]]
    return sum(bool(word) and word[0].strip(";").upper() not in CONTROL for word in words)
