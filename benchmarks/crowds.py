"""Many readers who think between two pages: what they wait, and what they cost."""

from __future__ import annotations

import contextlib
import csv
import re
import resource
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

from .server import ROOT, Server
from .stage import Stage
from .verdict import Check, Row
from .wrk import Load, NotMeasured

THINK = "5-15"  # seconds
MEAN_THINK = 10
SERVED_SHARE = 0.95  # of the answers that so many readers ask for
MEMBER_SHARE = 0.19
FILES_BESIDE = 500  # open files besides the connections
THREADS = 4  # wrk looks through all timers of a thread at every turn
MEMORY_CHUNK_SECONDS = 20
GROWTH_MB = 5
JOURNEY_USERS = 200


def mixed(connections: int) -> dict[str, Any]:
    """What a crowd asks for: 80 % anonymous pages, 19 % members' pages, 1 % writes."""
    return {
        "mode": "mixed",
        "paths": "mixed.tsv",
        "members": "members.tsv",
        "few": max(1, round(connections * MEMBER_SHARE)),
        "posts": "posts.tsv",
        "topics": "topics.tsv",
        "connections": connections,
    }


def expected(connections: int, seconds: float) -> float:
    """Answers that readers ask for who think 5 to 15 s before each page, the first one too."""
    first = (25 / 3 - MEAN_THINK**2) / (2 * MEAN_THINK**2)  # renewal theory: they begin thinking
    return connections * max(0.0, seconds / MEAN_THINK + first)


def crowd(stage: Stage) -> Row:
    """Thousands of open connections on two workers, and a login a second."""
    count, seconds = stage.options.crowd, stage.options.crowd_seconds
    row = Row(
        "crowd",
        f"{count:,} open connections thinking {THINK} s, two workers, {seconds:.0f} s",
        "0 errors, p95 ≤ 50 ms, p99 ≤ 200 ms",
    )
    _open_files(count + FILES_BESIDE)
    with stage.bare(WEB_WORKERS="2") as bare:
        (stage.wrk.folder / "bare.tsv").write_text("/bytes/12000\n")
        yardstick = _think(stage, bare, {"paths": "bare.tsv", "connections": count}, seconds)
    with stage.site(WEB_WORKERS="2") as site:
        _warm(stage, site, count)
        logins = Logins(stage, site)
        with logins, busy(site) as used:
            load = _think(stage, site, mixed(count), seconds)
        rss, _pss = site.megabytes()
    row.checks = [
        Check("errors", load.failed + len(logins.failed), most=0),
        Check("p50", load.p50, "ms"),
        Check("p95", load.p95, "ms", most=50),
        Check("p99", load.p99, "ms", most=200),
        Check("", load.rate, "requests/s"),
        Check("of the answers asked for", load.requests / expected(count, seconds), least=SERVED_SHARE),
        Check("logins", logins.done),
        Check("", used[0], "% of one core"),
        Check("a worker", rss, "MB"),
        Check("bare p99", yardstick.p99, "ms"),
        Check("bare", yardstick.rate, "requests/s"),
    ]  # fmt: skip
    row.figures = {"site": vars(load), "bare": vars(yardstick), "failed_logins": logins.failed}
    return row


def _think(stage: Stage, server: Server, options: dict[str, Any], seconds: float) -> Load:
    return stage.wrk(server.url, seconds=seconds, think=THINK, threads=THREADS, **options)


def _warm(stage: Stage, site: Server, readers: int) -> None:
    """Let the pages and members of such a crowd be asked for once, as on a site that has been up.

    Each page by a stranger and by a member, however slow the machine; the members as far as ten
    seconds go.
    """
    for path in dict.fromkeys((stage.wrk.folder / "mixed.tsv").read_text().split()):
        stage.ask(site, path)
        stage.ask(site, path, member=True)
    options = mixed(readers) | {"connections": 32}
    stage.wrk(site.url, seconds=min(10, stage.options.seconds), **options)


@contextlib.contextmanager
def busy(site: Server) -> Iterator[list[float]]:
    """Yield a list that afterwards holds what master and workers used, in % of one core."""
    used: list[float] = []
    before, began = site.cpu_seconds(), time.monotonic()
    yield used
    used.append(100 * (site.cpu_seconds() - before) / (time.monotonic() - began))


def _open_files(wanted: int) -> None:
    """Let this process and its children open ``wanted`` files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise NotMeasured(f"only {hard} files may be open (ulimit -Hn), {wanted} are needed")
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Logins:
    """A member who logs in every second, each from an address of their own."""

    def __init__(self, stage: Stage, site: Server):
        self.stage, self.site = stage, site
        self.accounts = [
            line.split("\t") for line in (stage.wrk.folder / "logins.tsv").read_text().splitlines()
        ]
        self.done = 0
        self.failed: list[str] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_) -> None:
        self._end.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._end.wait(1):
            name, password = self.accounts[self.done % len(self.accounts)]
            try:
                self._log_in(name, password)
            except (OSError, ValueError) as error:
                self.failed.append(f"{name}: {error}")
            self.done += 1

    def _log_in(self, name: str, password: str) -> None:
        url = f"{self.site.url}/conta/entrar/"
        session = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        session.addheaders = [("X-Forwarded-For", self.stage.address())]
        with session.open(url, timeout=10) as page:
            token = re.search(rb'name="csrfmiddlewaretoken" value="(\w+)"', page.read())
        if not token:
            raise ValueError("no token in the form")
        fields = {"username": name, "password": password, "csrfmiddlewaretoken": token[1].decode()}
        with session.open(url, urllib.parse.urlencode(fields).encode(), timeout=10) as page:
            if b"/conta/sair/" not in page.read():
                raise ValueError("not logged in")


def hundred(stage: Stage) -> Row:
    """What a hundred readers cost."""
    seconds = stage.options.crowd_seconds
    row = Row("hundred", f"100 users thinking {THINK} s", "≤ 20 % of one core")
    with stage.site() as site:
        _warm(stage, site, 100)
        with busy(site) as used:
            load = stage.wrk(site.url, seconds=seconds, think=THINK, **mixed(100))
    row.checks = [
        Check("", used[0], "% of one core", most=20),
        Check("p95", load.p95, "ms"),
        Check("", load.rate, "requests/s"),
        Check("errors", load.failed, most=0),
    ]
    row.figures = vars(load)
    return row


def memory(stage: Stage) -> Row:
    """The largest worker after so many requests of the crowd's kind, and after five times as many."""
    early, late = stage.options.memory_requests
    row = Row(
        "memory",
        f"Memory of a web worker, {late:,} requests",
        f"≤ 160 MB, no growth (≤ {GROWTH_MB} MB after the first {early:,})",
    )
    failed = total = 0
    seen: dict[int, tuple[float, float]] = {}
    with stage.site() as site:
        rate = 500.0
        for goal in (early, late):
            while total < goal:
                seconds = min(MEMORY_CHUNK_SECONDS, max(1, (goal - total) / rate))
                load = stage.wrk(site.url, seconds=seconds, **mixed(32))
                total, failed, rate = total + load.requests, failed + load.failed, max(1, load.rate)
            seen[goal] = site.megabytes()
    row.checks = [
        Check("RSS", seen[late][0], "MB", most=160),
        Check("PSS", seen[late][1], "MB"),
        Check("growth", seen[late][0] - seen[early][0], "MB", most=GROWTH_MB),
        Check("requests", total),
        Check("errors", failed, most=0),
    ]
    row.figures = {"rss_and_pss_after": seen}
    return row


def journeys(stage: Stage) -> Row:
    """Locust: 200 readers who browse, read, log in, reply and vote."""
    row = Row("journeys", f"Journeys of {JOURNEY_USERS} users (Locust)", "0 errors")
    seconds = max(10, stage.options.crowd_seconds)
    folder = stage.wrk.folder
    with stage.site(WEB_WORKERS="2") as site:
        words = [sys.executable, "-m", "locust", "-f", "benchmarks/locustfile.py", "--headless"]
        words += ["-u", str(JOURNEY_USERS), "-r", "20", "-t", f"{seconds:.0f}s"]
        words += ["--host", site.url, "--csv", str(folder / "locust"), "--only-summary"]
        words += ["--exit-code-on-error", "0", "--skip-log-setup"]
        done = subprocess.run(
            words,
            cwd=ROOT,
            env=stage.env | {"BENCH_ASKED": str(folder)},
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds + 120,
        )
    if done.returncode:
        raise NotMeasured(f"Locust said “{(done.stdout + done.stderr)[-500:]}”")
    with open(folder / "locust_stats.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    whole = next(each for each in rows if each["Name"] == "Aggregated")
    kinds = {each["Name"]: int(each["Request Count"]) for each in rows if each is not whole}
    row.checks = [
        Check("errors", int(whole["Failure Count"]), most=0),
        Check("p95", float(whole["95%"]), "ms"),
        Check("p99", float(whole["99%"]), "ms"),
        Check("", float(whole["Requests/s"]), "requests/s"),
        Check("kinds of request", len(kinds), least=6),
    ]
    with open(folder / "locust_failures.csv", newline="") as file:
        failures = list(csv.DictReader(file))
    row.figures = {"requests": kinds, "failures": failures}
    return row
