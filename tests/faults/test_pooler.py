"""PgBouncer in transaction mode, for real: the site works through two connections and leaves no trace."""

from __future__ import annotations

import threading
from contextlib import ExitStack, closing

import psycopg2
import pytest
from django.conf import settings

from tests.servers import web_server

from .servers import Bouncer, Pair, ask, pgbouncer
from .visitor import Visitor

POOL_SIZE = 2
MEMBERS_EACH = 2
ROUNDS = 8
POOLED = {"DATABASE_POOLER": "transaction"}
OPEN_TOPIC = "SELECT slug FROM debates_debatetopic WHERE NOT is_locked AND NOT is_deleted LIMIT 1"
POSTS = """
    SELECT p.id FROM debates_debatepost p JOIN debates_debatetopic t ON t.id = p.topic_id
    JOIN accounts_user u ON u.id = p.author_id
    WHERE NOT p.is_deleted AND NOT t.is_locked AND NOT t.is_deleted
    AND u.username NOT IN ('leitora', 'bibliotecaria') ORDER BY p.id
"""
# PgBouncer itself carries these from client to client, and puts each client's own back.
CARRIED = {"application_name", "client_encoding", "DateStyle", "TimeZone",
           "standard_conforming_strings"}  # fmt: skip
ROLE_TIMEOUTS = """
    SELECT setting FROM pg_settings
    WHERE name IN ('idle_in_transaction_session_timeout', 'statement_timeout') ORDER BY name
"""
# Refuses what is written while the timeouts hold, so that no test has to be slow to see it.
HURRIED = """
    CREATE FUNCTION refuse_haste() RETURNS {kind} LANGUAGE plpgsql AS $$ BEGIN
        IF {unless}(current_setting('statement_timeout') <> '0'
            OR current_setting('idle_in_transaction_session_timeout') <> '0')
        THEN RAISE 'the timeout is %', current_setting('statement_timeout'); END IF;
        {end}
    END $$
"""
ON_DDL = "CREATE EVENT TRIGGER haste ON ddl_command_end EXECUTE FUNCTION refuse_haste()"
ON_INSERT = """
    CREATE TRIGGER haste BEFORE INSERT ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_haste()
"""
CURSOR = """
import contextlib, psycopg2
from django.conf import settings
from core.models import Book
books = Book.objects.order_by("pk").iterator(chunk_size=2)
first = next(books)
# Another client takes the connection that served the first rows.
with contextlib.closing(psycopg2.connect(settings.DATABASE_URL)) as other:
    other.cursor().execute("SELECT 1")
    assert 1 + len(list(books)) == Book.objects.count() > 4
"""
# The same, in the midst of what a migration does.
MEANWHILE = """
import contextlib, psycopg2
from django.conf import settings
from django.db import connection, transaction
from core.database import unhurried
def show(cursor):
    cursor.execute("SHOW statement_timeout")
    return cursor.fetchone()[0]
with unhurried(connection), contextlib.closing(psycopg2.connect(settings.DATABASE_URL)) as other:
    for _time in range(2):
        with transaction.atomic(), connection.cursor() as cursor:
            assert show(cursor) == "0"
        assert show(other.cursor()) == "30s"
        other.rollback()
"""


@pytest.fixture
def bouncer(pair):
    """Before a fresh site; the pool has room for two."""
    pair.new_site("pooled")
    modes = {"pooled": f"dbname=pooled pool_mode=transaction pool_size={POOL_SIZE}"}
    with pgbouncer(pair, **modes) as found:
        yield found
    pair.ask("ALTER ROLE CURRENT_USER IN DATABASE pooled RESET ALL")


def manage(pair: Pair, bouncer: Bouncer, *words: str, **changes: str):
    changes = {**POOLED, "DATABASE_URL": bouncer.url("pooled"), **changes}
    return pair.manage("pooled", *words, **changes)


def done(pair: Pair, bouncer: Bouncer, *words: str) -> str:
    result = manage(pair, bouncer, *words)
    assert result.returncode == 0, result.stderr
    return result.stdout


def leftovers(bouncer: Bouncer) -> list[list[tuple]]:
    """What clients before us SET, for every connection of the pool: all are taken at once."""
    sql = """SELECT pg_backend_pid(), name, setting FROM pg_settings
             WHERE source = 'session' AND name <> ALL (%s)"""
    found = []
    with ExitStack() as stack:
        for _number in range(POOL_SIZE):
            client = stack.enter_context(closing(psycopg2.connect(bouncer.url("pooled"))))
            cursor = client.cursor()  # opens a transaction, and keeps it
            cursor.execute(sql, [list(CARRIED)])
            found.append(cursor.fetchall())
    return found


class Talk(threading.Thread):
    """One of several readers at once; ``odd`` is every answer that was not as it should be."""

    def __init__(self, address: str, login: int | None, topic: str, posts: list[int]):
        super().__init__()
        self.visitor = Visitor(address)
        if login is not None:
            self.visitor.log_in(login)
        self.login, self.topic, self.posts = login, topic, posts
        self.count, self.odd = 0, []

    def expect(self, status: int, answer) -> None:
        self.count += 1
        if answer.status != status:
            self.odd.append(answer)

    def run(self) -> None:
        for number in range(ROUNDS):
            post = self.posts[number % len(self.posts)]
            self.expect(200, self.visitor.get(f"{self.topic}?n={number}"))
            self.expect(200, self.visitor.get("/debates/"))
            self.expect(200, self.visitor.get(f"/busca/?q=dom+{number}"))
            self.expect(302, self.visitor.get(f"/debates/post/{post}/"))
            if self.login is None:
                continue
            words = f"Resposta {number} de {self.name}"
            reply = f"{self.topic}responder/"
            self.expect(302, self.visitor.post(reply, content=words, spoiler_percent=0))
            self.expect(302, self.visitor.post(f"/debates/post/{post}/votar/", value=1))


def test_two_hundred_requests_through_two_connections(pair, bouncer):
    done(pair, bouncer, "set_role_defaults")
    bouncer.reconnect()
    ((slug,),) = ask(bouncer.url("pooled"), OPEN_TOPIC)
    posts = [number for (number,) in ask(bouncer.url("pooled"), POSTS)]
    topic = f"/debates/topico/{slug}/"
    site = {"DATABASE_URL": bouncer.url("pooled"), "REDIS_URL": pair.redis_url, **POOLED}
    with web_server(**site, WEB_THREADS="8", RATELIMIT_ENABLE="false") as address:
        logins = [None, None] + [0, 1] * MEMBERS_EACH
        talks = [Talk(address, login, topic, posts[index:]) for index, login in enumerate(logins)]
        for talk in talks:
            talk.start()
        for talk in talks:
            talk.join()
        assert [answer for talk in talks for answer in talk.odd] == []
        assert sum(talk.count for talk in talks) >= 200
        replies = (
            "SELECT count(*) FROM debates_debatepost WHERE content LIKE 'Resposta % de Thread-%'"
        )
        assert ask(bouncer.url("pooled"), replies) == [(2 * MEMBERS_EACH * ROUNDS,)]
        servers = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'pooled'"
        assert pair.ask(servers)[0][0] <= POOL_SIZE
        assert leftovers(bouncer) == [[], []]


def test_commands_lift_the_timeout_and_leave_it_as_it_was(pair, bouncer, tmp_path):
    done(pair, bouncer, "set_role_defaults")
    bouncer.reconnect()
    ask(bouncer.url("pooled"), HURRIED.format(kind="trigger", end="RETURN NULL;", unless=""))
    for table in ("core_book", "debates_debatepost"):
        ask(bouncer.url("pooled"), ON_INSERT.format(table=table))
    with pytest.raises(psycopg2.errors.RaiseException, match="30s"):
        ask(bouncer.url("pooled"), "INSERT INTO core_book DEFAULT VALUES")

    books = settings.BASE_DIR / "core/tests/data/books-sample.csv"
    done(pair, bouncer, "import_books", str(books), "--report", str(tmp_path / "report.csv"))
    sizes = {"topics": 5, "posts": 200, "users": 20, "votes": 50}
    words = [word for name, number in sizes.items() for word in (f"--{name}", str(number))]
    done(pair, bouncer, "seed_load", "--force", *words)
    assert leftovers(bouncer) == [[], []]


@pytest.mark.parametrize("pooler", ["transaction", "session", ""])
def test_migrations_do_so_too(pair, pooler):
    pair.ask("DROP DATABASE IF EXISTS pooled WITH (FORCE)")
    pair.ask("CREATE DATABASE pooled")
    for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
        pair.ask(f"ALTER ROLE CURRENT_USER IN DATABASE pooled SET {name} = '30s'")
    modes = {"pooled": f"dbname=pooled pool_mode={pooler or 'session'} pool_size=2"}
    with pgbouncer(pair, **modes) as bouncer:
        url = bouncer.url("pooled") if pooler else pair.url("pooled")
        # An index that is built beside the writers runs in no transaction, and what a session set is
        # another client's there: such a release wants Postgres' own address (docs/connections.md).
        beside = "current_query() !~ 'CONCURRENTLY' AND " if pooler == "transaction" else ""
        ask(url, HURRIED.format(kind="event_trigger", end="", unless=beside))
        ask(url, ON_DDL)
        with pytest.raises(psycopg2.errors.RaiseException, match="30s"):
            ask(url, "CREATE TABLE hurried ()")
        migrated = pair.manage("pooled", "migrate", "-v0", DATABASE_URL=url, DATABASE_POOLER=pooler)
        assert migrated.returncode == 0, migrated.stderr
        assert leftovers(bouncer) == [[], []]


def test_nobody_else_gets_a_migrations_settings_while_it_runs(pair, bouncer):
    done(pair, bouncer, "set_role_defaults")
    bouncer.reconnect()
    done(pair, bouncer, "shell", "-v0", "-c", MEANWHILE)


def test_the_role_carries_the_timeouts_and_the_check_sees_it(pair, bouncer):
    before = manage(pair, bouncer, "check", "--deploy")
    assert before.stderr.count("core.E011") == 2
    assert before.returncode == 1

    assert "Dry run" in done(pair, bouncer, "set_role_defaults", "--dry-run")
    assert ask(bouncer.url("pooled"), ROLE_TIMEOUTS) == [("0",), ("0",)]

    assert "statement_timeout = 30000;" in done(pair, bouncer, "set_role_defaults")
    bouncer.reconnect()
    assert ask(bouncer.url("pooled"), ROLE_TIMEOUTS) == [("60000",), ("30000",)]
    after = manage(pair, bouncer, "check", "--deploy")
    assert "core.E011" not in after.stderr
    assert "core.W010" not in after.stderr

    ask(
        bouncer.url("pooled"), "ALTER ROLE CURRENT_USER IN DATABASE pooled SET statement_timeout=50"
    )
    bouncer.reconnect()
    with pytest.raises(psycopg2.errors.QueryCanceled):
        ask(bouncer.url("pooled"), "SELECT pg_sleep(1)")


def test_without_the_variable_the_startup_option_is_refused(pair, bouncer):
    refused = manage(pair, bouncer, "check", "--deploy", DATABASE_POOLER="")
    assert "core.W010" in refused.stderr
    assert "unsupported startup parameter" in refused.stderr


def test_rows_are_read_without_cursors_of_the_server(pair, bouncer):
    done(pair, bouncer, "shell", "-v0", "-c", CURSOR)
