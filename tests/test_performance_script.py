"""test_performance.py against servers of its own: passes twice in a row, leaves nothing, can fail.

A Redis of the test's own, because the script asks the worker of the default queue and because
what is left in a Redis can only be seen in one that nobody else uses.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
import redis
from django.apps import apps
from django.conf import settings
from django.db import IntegrityError, connection

from core import embedded
from debates.models import DebateTopic
from tests.factories import make_topic
from tests.servers import child_environment, free_port

SCRIPT = settings.BASE_DIR / "test_performance.py"
PYTHON = [sys.executable, str(SCRIPT)]
SHELL = [sys.executable, "manage.py", "shell"]
WAIT_SECONDS = 60


@pytest.fixture
def redis_url(transactional_db, tmp_path) -> Iterator[str]:
    folder = tmp_path / "pair"
    try:
        yield str(embedded.start(folder, durable=False, services=["redis"]).redis_url)
    finally:
        while Run.started:  # one that a failed test left would hold the database
            with Run.started.pop() as process:
                process.kill()
        embedded.remove(folder)


@contextlib.contextmanager
def worker(redis_url: str, log: Path) -> Iterator[None]:
    """The worker of the three terminals, once it is ready."""
    words = [sys.executable, "-m", "celery", "-A", "cgbookstore", "worker", "-l", "info"]
    with log.open("w") as out:
        process = subprocess.Popen(
            [*words, "--pool", "solo"], cwd=settings.BASE_DIR, stdout=out, stderr=out,
            env=child_environment(REDIS_URL=redis_url),
        )  # fmt: skip
    try:
        until = time.monotonic() + WAIT_SECONDS
        while " ready." not in log.read_text():
            assert process.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(30)


class Run:
    """One run of the script, from its start to its report."""

    started: ClassVar[list[subprocess.Popen]] = []

    def __init__(self, words: list[str], redis_url: str):
        with SCRIPT.open() if words is SHELL else open(os.devnull) as source:
            self.process = subprocess.Popen(
                words, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                cwd=settings.BASE_DIR, env=child_environment(REDIS_URL=redis_url),
            )  # fmt: skip
        self.started.append(self.process)

    def report(self) -> tuple[int, str]:
        """Wait for its end; returns its exit code and all it said."""
        said, _errors = self.process.communicate(timeout=WAIT_SECONDS)
        return self.process.returncode, said


def failed(report: str) -> list[str]:
    """The checks that say FALHOU, by their names."""
    lines = [line.split("  ") for line in report.splitlines() if line.startswith("  FALHOU  ")]
    return [next(word for word in words[2:] if word) for words in lines]


def rows() -> dict[str, int]:
    return {model.__name__: model._default_manager.count() for model in apps.get_models()}


def left_in(redis_url: str) -> list[bytes]:
    """Sessions, counters and queued tasks, and what was derived from rows of the script's."""
    left = []
    for database in (0, 1, 2, 3):
        with redis.Redis.from_url(f"{redis_url.rpartition('/')[0]}/{database}") as client:
            for key in client.scan_iter():
                if database == 1 and client.type(key) == b"string":
                    left += [key] if b"validacao" in key + client.get(key) else []
                elif not key.startswith(b"_kombu."):
                    left.append(key)
    return left


@contextlib.contextmanager
def without_index(name: str) -> Iterator[None]:
    index = next(index for index in DebateTopic._meta.indexes if index.name == name)
    with connection.schema_editor() as editor:
        editor.remove_index(DebateTopic, index)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP INDEX IF EXISTS {name}")
        with connection.schema_editor() as editor:
            editor.add_index(DebateTopic, index)


def leave_an_invalid_index(name: str) -> None:
    """What CREATE INDEX CONCURRENTLY leaves when it fails: there, and of no use."""
    make_topic()
    make_topic()
    with connection.cursor() as cursor, pytest.raises(IntegrityError):
        cursor.execute(
            f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON debates_debatetopic (is_pinned)"
        )


class TestScript:
    def test_it_passes_twice_in_a_row_both_ways_and_leaves_nothing(self, redis_url, tmp_path):
        make_topic()
        before = rows()
        with worker(redis_url, tmp_path / "worker.log"):
            reports = [Run(words, redis_url).report() for words in (PYTHON, SHELL)]
        for code, report in reports:
            assert (code, failed(report)) == (0, []), report
            # every section, and every row and page that the settings and the site have
            assert report.count("429 no fim de ") == len(settings.RATES)
            assert report.count("ida e volta") == 1
            assert report.count("iguais, de 1 a 5") == report.count("iguais, de 1 a 10") == 10
            assert report.count("até 200 ms") > 20
        first, second = (report.count("\n  ok") for _code, report in reports)
        assert first == second > 70
        assert rows() == before
        assert left_in(redis_url) == []

    def test_what_is_taken_away_is_missed_by_name(self, redis_url):
        alone = Run([*PYTHON, "test_celery"], redis_url)  # no worker: it waits ten seconds
        without_redis = Run(SHELL, f"redis://127.0.0.1:{free_port()}/1")
        with without_index("idx_topic_date"):
            code, report = Run([*PYTHON, "test_indexes"], redis_url).report()
            assert (code, failed(report)) == (1, ["idx_topic_date"]), report
            assert "falta" in report
            leave_an_invalid_index("idx_topic_date")
            code, report = Run([*PYTHON, "test_indexes"], redis_url).report()
            assert (code, failed(report)) == (1, ["idx_topic_date"]), report
            assert "inválido" in report
        with without_index("idx_topic_book_date"):
            with connection.cursor() as cursor:
                cursor.execute("CREATE INDEX idx_topic_book_date ON debates_debatetopic (book_id)")
            code, report = Run([*PYTHON, "test_indexes"], redis_url).report()
            assert (code, failed(report)) == (1, ["idx_topic_book_date"]), report
            assert "não usado" in report

        code, report = without_redis.report()
        missed = failed(report)
        assert code == 1
        assert {"default: gravar e ler", "ratelimit: apagar", "create_post (POST)"} <= set(missed)
        assert report.count("\n  FALHOU  ") == 2 * len(settings.CACHES) + 1 + len(settings.RATES)
        assert "OperationalError" in report  # Celery's word for its broker

        code, report = alone.report()
        assert (code, failed(report)) == (1, ["ida e volta"]), report
        assert "nenhum worker respondeu" in report

    def test_killed_half_way_it_takes_everything_with_it(self, redis_url):
        before = rows()
        run = Run([*PYTHON, "test_rate_limiting"], redis_url)
        # a member's rows, session and counters are next
        assert any("create_topic" in line for line in run.process.stdout)
        run.process.send_signal(signal.SIGTERM)
        code, rest = run.report()
        assert (code, "verificações" in rest) == (1, False), rest
        assert rows() == before
        assert left_in(redis_url) == []

    def test_no_runner_collects_it(self):
        words = [sys.executable, "-m", "pytest", "--collect-only", "-q", "test_performance.py"]
        done = subprocess.run(
            words, cwd=settings.BASE_DIR, env=child_environment(), capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout + done.stderr
