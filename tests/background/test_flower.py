"""The owner's fourth terminal: Flower answers, and knows a real worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request

from django.conf import settings

from tests.faults.servers import wait_for
from tests.servers import child_environment, free_port

from .processes import worker


def test_it_shows_the_worker(queues_of_ones_own, tmp_path):
    port, log = free_port(), tmp_path / "flower.log"
    with worker(tmp_path / "seen.log"), log.open("w") as out:
        flower = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "cgbookstore", "flower",
             "--address=127.0.0.1", f"--port={port}"],
            cwd=settings.BASE_DIR, stdout=out, stderr=out, start_new_session=True,
            env=child_environment(
                CELERY_BROKER_URL=settings.CELERY_BROKER_URL, FLOWER_UNAUTHENTICATED_API="true"
            ),
        )  # fmt: skip

        def ask(path: str) -> str:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                    return answer.read().decode()
            except (OSError, urllib.error.URLError):
                assert flower.poll() is None, log.read_text()
                return ""

        try:
            wait_for(lambda: "Flower" in ask("/"), "Flower does not answer")
            name = f"seen-{os.getpid()}@"
            wait_for(lambda: name in ask("/api/workers?refresh=1"), "Flower sees no worker")
            wait_for(lambda: name in ask("/"), "Flower does not show the worker")
        finally:
            os.killpg(flower.pid, signal.SIGTERM)
            flower.wait(20)
