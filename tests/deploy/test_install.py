"""The steps of docs/operations.md that can be run without a machine of one's own are run as they stand."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import textwrap
from pathlib import Path

import pytest
import redis
from django.conf import settings

from core.embedded.redis import _program
from tests.conventions import tree
from tests.faults.servers import wait_for
from tests.servers import child_environment, free_port

from .nginx import SITE

W016 = {"core.W016"}  # no worker runs in this test
STUBS = {  # what needs root or systemd; `install` and `chown` may not give files away here
    "systemctl": 'echo "systemctl $*" >> "$LOG"',
    "sysctl": 'echo "sysctl $*" >> "$LOG"',
    "chown": 'echo "chown $*" >> "$LOG"',
    "runuser": 'echo "runuser $*" >> "$LOG"',
    "install": 'while [ "$1" != -d ]; do shift; done; shift\n'
    "while [ $# -gt 1 ]; do case $1 in -o|-g|-m) shift 2 ;; *) break ;; esac; done\n"
    'mkdir -p "$@"',
}


def step(number: int) -> str:
    """The commands of one numbered step of the installation on Debian."""
    page = tree.read("docs/operations.md").partition("## Install on a Debian server")[2]
    found = re.search(rf"(?ms)^{number}\. .*?\n\n(.*?)(?=^\d+\. |^## )", page)[1]
    return textwrap.dedent("\n".join(re.findall(r"(?m)^(?: {8}.*|)$", found)))


class Machine:
    """A folder that stands for the root of a server."""

    def __init__(self, root: Path):
        self.root, self.ports = root, (free_port(), free_port())
        for name in ("bin", "etc/redis", "etc/cgbookstore", "etc/sysctl.d", "var/lib/redis"):
            (root / name).mkdir(parents=True)
        for name, words in STUBS.items():
            (root / "bin" / name).write_text(f"#!/bin/sh\n{words}\n")
            (root / "bin" / name).chmod(0o755)
        self.env = root / "etc/cgbookstore/env"

    def run(self, commands: str) -> None:
        for old, new in (
            ("/opt/cgbookstore/current", str(settings.BASE_DIR)),
            ("/etc/", f"{self.root}/etc/"),
            ("/var/lib/redis", f"{self.root}/var/lib/redis"),
            ("6380", str(self.ports[0])),
            ("6381", str(self.ports[1])),
        ):
            commands = commands.replace(old, new)
        path = f"{self.root}/bin:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-eu", "-c", commands],
            env={"PATH": path, "LOG": str(self.root / "log")},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def variables(self) -> dict[str, str]:
        lines = self.env.read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)


@pytest.fixture
def machine(tmp_path) -> Machine:
    return Machine(tmp_path)


def test_the_two_redis_are_as_the_site_needs_them(machine):
    machine.run(step(4))
    told = machine.variables()
    with contextlib.ExitStack() as stack:
        for name, port in zip(("cache", "broker"), machine.ports, strict=True):
            conf = machine.root / f"etc/redis/redis-{name}.conf"
            process = subprocess.Popen(
                [_program(""), conf, "--logfile", str(machine.root / f"{name}.log")]
            )
            stack.callback(process.wait, 10)
            stack.callback(process.terminate)
            address = told["REDIS_URL" if name == "cache" else "CELERY_BROKER_URL"]
            assert f"@127.0.0.1:{port}/" in address
            client = stack.enter_context(redis.Redis.from_url(address))

            def answers(client=client) -> bool:
                with contextlib.suppress(redis.ConnectionError):
                    return bool(client.ping())
                return False

            wait_for(answers, f"{name} did not start")
            policy = {"cache": "allkeys-lru", "broker": "noeviction"}[name]
            assert client.info("memory")["maxmemory_policy"] == policy
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.flushall()
            with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
                stranger.ping()
    assert told["REDIS_SESSIONS_URL"].endswith(f":{machine.ports[1]}/2")
    assert told["REDIS_LIMITS_URL"].endswith(f":{machine.ports[1]}/3")
    assert (
        "enable --now redis-server@cache redis-server@broker" in (machine.root / "log").read_text()
    )


@pytest.mark.django_db
def test_the_environment_is_one_that_the_site_starts_with(machine, tmp_path):
    """Both readers of the file: the site's own, and systemd's, which knows no quotes to take off."""
    for number in (3, 4, 5):
        machine.run(step(number))
    told = machine.variables()
    assert re.fullmatch(
        r"postgres://cgbookstore:[0-9a-f]{48}@127.0.0.1:5432/cgbookstore", told["DATABASE_URL"]
    )
    assert len(told["SECRET_KEY"]) == 64
    assert told["SITE_URL"] == f"https://{SITE}"
    assert not [value for value in told.values() if value[:1] in {'"', "'"}]
    assert "CREATE ROLE cgbookstore LOGIN CREATEDB" in (machine.root / "log").read_text()

    here = child_environment()
    taken = ("DATABASE_URL", "REDIS_URL")  # the servers of this test; the rest is the file's
    base = {name: here[name] for name in ("PATH", "CACHE_KEY_PREFIX", *taken)}
    base |= {"CGB_ENV_FILE": str(machine.env), "CELERY_BROKER_URL": settings.CELERY_BROKER_URL}
    base |= {"METRICS_DIR": str(tmp_path / "metrics")}
    base |= {"REDIS_SESSIONS_URL": "", "REDIS_LIMITS_URL": "", "STATIC_ROOT": str(tmp_path / "s")}
    for words, allowed in ((["collectstatic", "--noinput"], set()), (["check", "--deploy"], W016)):
        done = subprocess.run(
            ["python", "manage.py", *words], cwd=settings.BASE_DIR, env=base, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert set(re.findall(r"\w+\.[EWC]\d+", done.stderr)) <= allowed, done.stderr


def test_what_is_copied_for_nginx_and_systemd_is_there():
    commands = step(7) + step(8)
    for path in re.findall(r"cp (?:-r )?(deploy/\S+)", commands):
        found = path.removesuffix("/*")
        assert any(each.startswith(found) for each in tree.paths()), path
    assert "cp -r deploy/nginx /etc/nginx/cgbookstore" in commands
    assert "nginx -t &&" in commands
