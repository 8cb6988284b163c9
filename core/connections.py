"""How the site connects to Postgres, and how many connections that makes. No Django: settings use it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import dj_database_url

from .embedded import SetUpMissing

POOLERS = ("", "session", "transaction")
TIMEOUTS = ("statement_timeout", "idle_in_transaction_session_timeout")
CONNECT_TIMEOUT_SECONDS = 10
# A network that vanishes without a word is noticed after 30 s + 3 x 10 s instead of never.
NETWORK: dict[str, Any] = {
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,  # ms; for what was sent and not received. Linux, else ignored
}


def database(
    url: str, pooler: str, max_age: int, timeouts_ms: tuple[int, int], argv: list[str]
) -> dict[str, Any]:
    """Return the row for ``DATABASES``. Raises ``SetUpMissing`` with what is wrong in words.

    ``max_age`` is in seconds, ``timeouts_ms`` are a statement's and an idle transaction's;
    ``argv`` gives the connection its name. What the address says in its query string wins.
    """
    if pooler not in POOLERS:
        known = "session, transaction or nothing"
        raise SetUpMissing(f"DATABASE_POOLER is {known}, not “{pooler}”.")
    if not url.startswith(("postgres://", "postgresql://")):
        raise SetUpMissing("DATABASE_URL starts with postgres:// or postgresql://.")
    try:
        row: dict[str, Any] = dict(dj_database_url.parse(url, conn_max_age=max_age))
    except ValueError as error:
        raise SetUpMissing(f"DATABASE_URL is not an address of a database: {error}") from error
    given = row.pop("OPTIONS", {})
    given.pop("pgbouncer", None)  # in addresses made for Prisma; libpq knows no such word
    name = process_name(argv)
    options = {"connect_timeout": CONNECT_TIMEOUT_SECONDS, **NETWORK, "application_name": name}
    if not pooler:
        # PgBouncer refuses this startup option: behind a pooler the role carries the timeouts.
        words = (f"-c {setting}={ms}" for setting, ms in zip(TIMEOUTS, timeouts_ms, strict=True))
        given["options"] = " ".join([*words, given.get("options", "")]).strip()
    return row | {
        "ENGINE": "core.postgres",
        "OPTIONS": options | given,
        "CONN_HEALTH_CHECKS": True,
        # A cursor of one transaction is gone in the next one's connection.
        "DISABLE_SERVER_SIDE_CURSORS": pooler == "transaction",
    }


def process_name(argv: list[str]) -> str:
    """What this process is, for ``pg_stat_activity``: ``cgbookstore web``, ``… worker``, ``… migrate``."""
    path, *words = argv or [""]
    program = PurePath(path).name
    if program == "manage.py":
        return f"cgbookstore {words[0] if words else 'help'}"
    for kind in ("worker", "beat", "flower"):
        if kind in words:
            return f"cgbookstore {kind}"
    return "cgbookstore web" if "granian" in path else "cgbookstore"


@dataclass(frozen=True)
class Budget:
    """The connections this site may hold at once; every process keeps the ones it opened."""

    web_workers: int
    web_threads: int
    celery_concurrency: int
    bulk_concurrency: int

    BEAT = 1
    COMMANDS = 3  # a migration, a backup, somebody's shell

    @property
    def web(self) -> int:
        """Each thread of each worker keeps one."""
        return self.web_workers * self.web_threads

    @property
    def celery(self) -> int:
        """Each child of the two workers keeps one, and a parent when it notes a killed task."""
        return self.celery_concurrency + 1 + self.bulk_concurrency + 1

    @property
    def watching(self) -> int:
        """/readyz and /metrics ask on a connection each, so that a busy thread delays neither."""
        return 2 * self.web_workers

    @property
    def reserve(self) -> int:
        """A release starts before the one before it has gone."""
        return self.web

    @property
    def total(self) -> int:
        """All of it."""
        return self.web + self.celery + self.BEAT + self.watching + self.COMMANDS + self.reserve

    def __str__(self) -> str:
        return (
            f"{self.web_workers} web x {self.web_threads} threads + {self.celery} celery + "
            f"{self.BEAT} beat + {self.watching} watching + {self.COMMANDS} commands + "
            f"{self.reserve} reserve = {self.total}"
        )
