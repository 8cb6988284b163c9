"""The real web server, started as the Procfile starts it, against the test database."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.db import connection

from core.embedded import procfile

START_SECONDS = 30


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_database_url() -> str:
    """The address of the database that the running test uses."""
    return settings.DATABASE_URL.rpartition("/")[0] + "/" + connection.settings_dict["NAME"]


test_database_url.__test__ = False


def child_environment(**changes: str) -> dict[str, str]:
    """The environment of a process of the site that shares the test's database and Redis."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    base = {
        "PATH": path,
        "CGB_ENV_FILE": os.devnull,
        "SECRET_KEY": "a-test-secret-of-more-than-fifty-characters-0123456789-abcdefgh",
        "DATABASE_URL": test_database_url(),
        "REDIS_URL": settings.REDIS_URL,
        "CACHE_KEY_PREFIX": settings.CACHE_KEY_PREFIX,
        "STATIC_ROOT": str(settings.BASE_DIR / "does-not-exist"),
    }
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, **base, **changes}


@contextlib.contextmanager
def web_server(
    log: Path = Path(os.devnull), *, at_port: int = 0, deployed: bool = False, **changes: str
) -> Iterator[str]:
    """Run the Procfile's web line, ``deployed`` by deploy/run; yield ``http://127.0.0.1:<port>``; end the whole group."""
    port = at_port or free_port()
    line = procfile.commands(settings.BASE_DIR)["web"]
    with log.open("a") as out:
        process = subprocess.Popen(
            ["deploy/run", "web"] if deployed else ["/bin/sh", "-c", line],
            cwd=settings.BASE_DIR,
            env=child_environment(
                **{"PORT": str(port), "HOST": "127.0.0.1", "WEB_WORKERS": "1", **changes}
            ),
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_it_answers(f"http://127.0.0.1:{port}/healthz", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(5)


def _wait_until_it_answers(url: str, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the web server ended with {process.returncode}"
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(url, timeout=2).close()  # noqa: S310  our own address
            return
        time.sleep(0.1)
    raise AssertionError(f"{url} did not answer in {START_SECONDS} s")
