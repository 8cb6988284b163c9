"""The Redis user of a deployment may not empty, list or reconfigure, and the whole site does without."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis
from django.conf import settings

from debates.models import DebateTopic
from tests.factories import PASSWORD, make_post, make_topic, make_user
from tests.faults.servers import wait_for
from tests.faults.traffic import Member
from tests.servers import child_environment, web_server

from .redis import PASSWORD as REDIS_PASSWORD
from .redis import SOURCE, DeployedRedis, deployed_redis

REFUSED = [
    "FLUSHDB", "FLUSHALL", "KEYS *", "CONFIG GET maxmemory-policy", "CONFIG SET maxmemory 1",
    "SHUTDOWN NOSAVE", "LATENCY LATEST", "ACL LIST", "ACL SETUSER x on", "SAVE", "BGREWRITEAOF",
    "REPLICAOF 127.0.0.1 1", "SWAPDB 0 1", "MONITOR", "CLIENT KILL TYPE normal", "MODULE LIST",
]  # fmt: skip
READY_SECONDS = 60


@pytest.fixture
def servers(tmp_path):
    with deployed_redis(tmp_path) as pair:
        yield pair


def environment(cache: DeployedRedis, broker: DeployedRedis) -> dict[str, str]:
    """The four rooms as compose.yaml gives them."""
    return {
        "REDIS_URL": cache.url(1),
        "CELERY_BROKER_URL": broker.url(0),
        "REDIS_SESSIONS_URL": broker.url(2),
        "REDIS_LIMITS_URL": broker.url(3),
    }


@contextlib.contextmanager
def worker(log: Path, words: dict[str, str]):
    """The owner's one worker, with every queue of the site."""
    command = [sys.executable, "-m", "celery", "-A", "cgbookstore", "worker", "-l", "info"]
    with log.open("w") as out:
        process = subprocess.Popen(
            [*command, "--pool", "solo", "-n", "deployed@%h"],
            cwd=settings.BASE_DIR, env=child_environment(**words), stdout=out, stderr=out,
        )  # fmt: skip
    try:
        until = time.monotonic() + READY_SECONDS
        while " ready." not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        finally:
            process.kill()
            process.wait()


def manage(words: dict[str, str], *command: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *command],
        cwd=settings.BASE_DIR, env=child_environment(**words), capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def ask_a_worker(words: dict[str, str], task: str, *given: str) -> str:
    """Queue a task as a shell of the site would and wait for its result."""
    code = (
        "import django; django.setup()\n"
        "from cgbookstore.celery import app; import sys\n"
        "app.loader.import_default_modules()\n"
        "name, *words = sys.argv[1:]\n"
        "print(app.tasks[name].apply_async(words, ignore_result=False).get(timeout=30))"
    )
    words = {**words, "DJANGO_SETTINGS_MODULE": "cgbookstore.settings"}
    done = manage(words, "-c", code, task, *given)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_site_and_a_worker_need_nothing_that_is_refused(
    transactional_db, servers, tmp_path, monkeypatch
):
    cache, broker = servers
    words = environment(cache, broker)
    topic, author = make_topic(), make_user(password=PASSWORD)
    post = make_post(topic)
    page = topic.get_absolute_url()
    with web_server(**words) as address, worker(tmp_path / "worker.log", words):
        reader, member = Member(address), Member(address)
        for path in (page, page, "/", "/debates/", "/livros/", "/busca/?q=dom", "/readyz"):
            assert reader.get(path).status == 200, path
        assert member.enter(author.username).status == 302
        assert member.is_member
        assert member.reply(page, "Uma resposta.").status == 302
        assert member.vote(post.pk, 1).status == 302
        assert "Uma resposta." in member.get(page).text
        for server, room, least in ((cache, 1, 5), (broker, 2, 1), (broker, 3, 3)):
            with server.client(room) as client:
                assert client.dbsize() >= least, f"database {room} was not used"
        assert member.leave().status == 302
        assert not member.is_member

        # a worker: a result, the readings of Redis folded into rows, the cache retired
        assert ask_a_worker(words, "core.tasks.test_async_task", "olá") == "Processed: olá"
        ask_a_worker(words, "debates.tasks.fold_views")
        assert DebateTopic.objects.get(pk=topic.pk).views_count > 0
        ask_a_worker(words, "core.tasks.clear_expired_cache")
        pinged = manage(words, "-m", "celery", "-A", "cgbookstore", "inspect", "ping")
        assert "pong" in pinged.stdout, pinged.stderr
        assert reader.get(page).status == 200
    assert (cache.refusals(), broker.refusals()) == (0, 0)

    # what cannot be asked is not judged, and nothing else is wrong with it
    checked = manage(words, "manage.py", "check", "--deploy")
    assert "core.W014" not in checked.stderr
    assert broker.refusals() == 3  # CONFIG GET, once for each address


def test_what_is_refused(servers):
    for server in servers:
        with server.client() as client:
            for command in REFUSED:
                with pytest.raises(redis.exceptions.NoPermissionError):
                    client.execute_command(*command.split())
            with pytest.raises(redis.ResponseError, match="ACL|permission|can't run"):
                client.eval("return redis.call('FLUSHALL')", 0)
        for user, password in (("default", REDIS_PASSWORD), ("cgbookstore", "wrong"), (None, None)):
            other = redis.Redis(port=server.port, username=user, password=password)
            with other, pytest.raises((redis.AuthenticationError, redis.ResponseError)):
                other.ping()


def test_the_password_is_kept_as_its_hash(servers):
    for server in servers:
        users = (server.folder / "users.acl").read_text()
        assert REDIS_PASSWORD not in users
        assert "user default off" in users
        assert (server.folder / "users.acl").stat().st_mode & 0o077 == 0
        words = Path(f"/proc/{server.process.pid}/environ").read_bytes()
        # what a process was started with cannot be taken back; the child has it no more
        assert Path(f"/proc/{server.process.pid}/cmdline").read_bytes().count(b"$ecret") == 0
        assert b"REDIS_PASSWORD" not in words
    refused = subprocess.run(
        [SOURCE / "start.sh", "cache.conf"], env={"PATH": os.environ["PATH"]},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert refused.returncode != 0
    assert "REDIS_PASSWORD is not set" in refused.stderr


def test_the_cache_makes_room_and_the_broker_does_not(servers):
    cache, broker = servers
    assert (cache.policy(), broker.policy()) == ("allkeys-lru", "noeviction")
    piece = b"x" * 1_000_000
    with cache.client() as client:
        for number in range(100):
            client.set(f"page-{number}", piece)
        assert client.info("stats")["evicted_keys"] > 20
        assert client.get("page-99") == piece
    with broker.client() as client, pytest.raises(redis.OutOfMemoryError):
        for number in range(100):
            client.set(f"task-{number}", piece)
    with broker.client() as client:
        assert client.get("task-0") == piece


def test_a_queued_task_outlives_a_kill(servers):
    _cache, broker = servers
    with broker.client() as client:
        client.lpush("bulk", "a task")
    time.sleep(1.5)  # it writes to the disk every second
    broker.kill()
    broker.start()

    def there():
        with contextlib.suppress(redis.BusyLoadingError), broker.client() as client:
            return client.lrange("bulk", 0, -1) == [b"a task"]

    wait_for(there, "the queue is empty after a restart")
