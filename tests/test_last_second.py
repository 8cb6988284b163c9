"""What a process gathered and had not written when it was told to end: lines and readings."""

from __future__ import annotations

import logging
import subprocess
import sys
from unittest import mock

import pytest
import redis
from celery.concurrency.prefork import process_destructor
from django.conf import settings

from core import logs

from .servers import child_environment

# As granian starts its workers, with nobody who would write before the end.
PROGRAM = """
import logging, multiprocessing, sys
def work():
    import django
    django.setup()
    from core import logs
    from debates import reading_counts
    logs.GATHER_SECONDS = reading_counts.FLUSH_SECONDS = 3600
    logging.getLogger("core").info("the last line")
    reading_counts._counts.add(7)
if sys.argv[1] == "worker":
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
else:
    work()
"""


@pytest.mark.parametrize("kind", ["worker", "by itself"])
def test_a_process_that_ends_in_order_leaves_nothing_behind(transactional_db, kind):
    prefix = f"{settings.CACHE_KEY_PREFIX}-{kind.replace(' ', '-')}"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, kind],
        cwd=settings.BASE_DIR,
        env=child_environment(
            DJANGO_SETTINGS_MODULE="cgbookstore.settings", CACHE_KEY_PREFIX=prefix
        ),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.count("the last line") == 1, done.stderr
    with redis.Redis.from_url(settings.REDIS_LIMITS_URL) as server:
        (key,) = [name for name in server.keys(f"*{prefix}*") if b"cgbookstore-readings" in name]
        assert server.hget(key, "7") == b"1"
        server.delete(key)


def test_a_child_of_celery_writes_its_last_lines(tmp_path):
    with (tmp_path / "log").open("w") as stream, mock.patch.object(logs, "GATHER_SECONDS", 3600):
        handler = logs.GatheringHandler(stream)
        handler.handle(logging.LogRecord("core", logging.INFO, "p", 1, "the last line", (), None))
        handler._timer.cancel()
        process_destructor(1, 0)
        assert (tmp_path / "log").read_text() == "the last line\n"
