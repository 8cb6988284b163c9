"""A Redis with a file of ``deploy/redis``, started as a container starts it, on a port of the test's own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import redis
from django.conf import settings

from core.embedded.redis import _program
from tests.faults.servers import wait_for
from tests.servers import free_port

SOURCE = settings.BASE_DIR / "deploy/redis"
USER, PASSWORD = "cgbookstore", 'it\'s a $ecret & "more"'
QUOTED = "it%27s%20a%20%24ecret%20%26%20%22more%22"


class DeployedRedis:
    """One server; ``conf`` is ``cache.conf`` or ``broker.conf``. Keeps its port and folder."""

    def __init__(self, folder: Path, conf: str):
        self.folder, self.conf, self.port = folder, conf, free_port()
        folder.mkdir()
        self.start()

    def start(self) -> None:
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        words += ["--maxmemory", "64mb"]
        self.process = subprocess.Popen(
            [SOURCE / "start.sh", self.conf, *words],
            env={
                "PATH": os.environ["PATH"],
                "REDIS_SERVER": _program(""),
                "REDIS_PASSWORD": PASSWORD,
                "REDIS_USERS_FILE": str(self.folder / "users.acl"),
            },
            stdout=subprocess.DEVNULL,
        )
        wait_for(self._answers, f"Redis with {self.conf} did not start")

    def _answers(self) -> bool:
        assert self.process.poll() is None, f"Redis ended with {self.process.returncode}"
        with contextlib.suppress(redis.ConnectionError), self.client() as client:
            return bool(client.ping())
        return False

    def url(self, database: int) -> str:
        return f"redis://{USER}:{QUOTED}@127.0.0.1:{self.port}/{database}"

    def client(self, database: int = 0, **words) -> redis.Redis:
        """As the site logs in, unless ``words`` say otherwise. The caller closes it."""
        return redis.Redis.from_url(self.url(database), socket_timeout=10, **words)

    def refusals(self) -> int:
        """How many commands the server has refused for want of permission since it started."""
        with self.client() as client:
            return int(client.info("errorstats").get("errorstat_NOPERM", {}).get("count", 0))

    def policy(self) -> str:
        with self.client() as client:
            return client.info("memory")["maxmemory_policy"]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        finally:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def deployed_redis(folder: Path) -> Iterator[tuple[DeployedRedis, DeployedRedis]]:
    """Yield the cache's server and the broker's."""
    with contextlib.ExitStack() as stack:
        pair = []
        for name in ("cache", "broker"):
            pair.append(DeployedRedis(folder / name, f"{name}.conf"))
            stack.callback(pair[-1].stop)
        yield pair[0], pair[1]
