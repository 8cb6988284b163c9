"""The owner's fourth terminal: Flower answers, to this machine alone, and knows a real worker."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from django.conf import settings

from tests.faults.servers import wait_for
from tests.servers import child_environment, free_port

from .processes import worker

COMMAND = "celery -A cgbookstore flower"  # as the documents say it
LISTENS = "0A"  # a state in /proc/net/tcp


def listening_addresses(port: int) -> set[str]:
    """The addresses at which somebody of this machine listens on ``port``, as the kernel writes them."""
    rows = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path("/proc/net", name).read_text().splitlines()[1:]
    ]
    ends = f":{port:04X}"
    return {row[1] for row in rows if row[3] == LISTENS and row[1].endswith(ends)}


def test_documented_flower_shows_the_worker_to_this_machine_alone(queues_of_ones_own, tmp_path):
    for document in ("running.md", "observability.md"):
        assert f"`{COMMAND}`" in (settings.BASE_DIR / "docs" / document).read_text()
    port, log = free_port(), tmp_path / "flower.log"
    with worker(tmp_path / "seen.log"), log.open("w") as out:
        flower = subprocess.Popen(
            [sys.executable, "-m", *shlex.split(COMMAND)],
            cwd=settings.BASE_DIR, stdout=out, stderr=out, start_new_session=True,
            env=child_environment(
                CELERY_BROKER_URL=settings.CELERY_BROKER_URL,
                FLOWER_PORT=str(port),
                FLOWER_UNAUTHENTICATED_API="true",
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
            assert listening_addresses(port) == {f"0100007F:{port:04X}"}  # 127.0.0.1
            name = f"seen-{os.getpid()}@"
            wait_for(lambda: name in ask("/api/workers?refresh=1"), "Flower sees no worker")
            wait_for(lambda: name in ask("/"), "Flower does not show the worker")
        finally:
            os.killpg(flower.pid, signal.SIGTERM)
            flower.wait(20)
