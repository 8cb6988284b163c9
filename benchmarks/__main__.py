"""``python3 dev.py bench``: measure every row of the table, judge it, write it down.

``python -m benchmarks FOLDER`` with the addresses of a throw-away Postgres and Redis in the
environment. Exit code 1 when a target is missed or a row could not be measured.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from . import crowds, reads, report, writes
from .server import MEGABYTE, Server, ServerFailed
from .stage import FULL, QUICK, USUAL, Options, Stage
from .verdict import Row, exit_code
from .wrk import NotMeasured

NAMES = [*reads.RATIOS, "cold", "long", *writes.WRITES, "crowd", "hundred", "memory", "journeys"]
OWN_SERVER: dict[str, Callable[[Stage], Row]] = {
    "cold": reads.cold,
    "long": reads.long,
    "crowd": crowds.crowd,
    "hundred": crowds.hundred,
    "memory": crowds.memory,
    "journeys": crowds.journeys,
}
TITLES = {name: row[0] for name, row in (reads.RATIOS | writes.WRITES).items()}
LOG_HEADER = "X-Request-ID"


def say(text: str) -> None:
    print(text, flush=True)


def arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="dev.py bench", description="Measure the site under load."
    )
    parser.add_argument("folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--full", action="store_true", help="2,000,000 posts instead of 100,000")
    parser.add_argument("--quick", action="store_true", help="20,000 posts, short runs: to try it")
    parser.add_argument(
        "--before",
        action="store_true",
        help="without page cache, kept connections and added indexes; no target is judged",
    )
    parser.add_argument("--only", help=f"some of: {', '.join(NAMES)}; with commas")
    parser.add_argument("--seconds", type=float, help="of one run of the generator; usually 8")
    asked = parser.parse_args(words)
    asked.names = asked.only.split(",") if asked.only else NAMES
    if unknown := set(asked.names) - set(NAMES):
        parser.error(f"there is no row {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    return asked


def options(asked: argparse.Namespace) -> Options:
    size = FULL if asked.full else QUICK if asked.quick else USUAL
    if asked.quick:
        return Options(
            size=size, seconds=asked.seconds or 2, rounds=2, crowd=1_000, crowd_seconds=20,
            memory_requests=(1_000, 5_000), before=asked.before, full=asked.full,
        )  # fmt: skip
    return Options(size=size, seconds=asked.seconds or 8, before=asked.before, full=asked.full)


def commit() -> str:
    """Which one is measured; "unknown" outside a repository."""
    words = ["git", "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def conditions(stage: Stage, site: Server) -> dict[str, Any]:
    """What has to be known to read the figures."""
    answer = stage.ask(site, stage.pages["home"][0])
    size = stage.options.size
    return {
        "label": "before" if stage.options.before else "after",
        "day": time.strftime("%Y-%m-%d"),
        "commit": commit(),
        "posts": size.posts,
        "topics": size.topics,
        "users": size.users,
        "seconds": stage.options.seconds,
        "rounds": stage.options.rounds,
        "cores": os.cpu_count(),
        "load before": round(os.getloadavg()[0], 1),  # of the machine; more than 1: not alone
        "python": platform.python_version(),
        "request id": "on" if LOG_HEADER.lower() in answer.headers else "off",
        "CSP": "on" if "content-security-policy" in answer.headers else "off",
        "limits": "on",
    }


def one(stage: Stage, name: str, measure: Callable[[], Row]) -> Row:
    """Measure one row; what keeps it from being measured is the row's problem, not the run's."""
    began, start = time.monotonic(), stage.log_bytes
    try:
        row = measure()
    except (NotMeasured, ServerFailed, subprocess.TimeoutExpired) as error:
        row = Row(name, TITLES.get(name, name), "", problem=str(error))
    say(f"· {row.title} … {time.monotonic() - began:.0f} s\n    {row.measured}   [{row.verdict}]")
    if complaints := stage.complaints(start):
        row.figures["the server said"] = complaints
        say(f"    the server said: {complaints[0]}")
    return row


def measure(stage: Stage, names: Sequence[str]) -> tuple[list[Row], dict[str, Any]]:
    """Every row of ``names``; those on the one-worker site share one server."""
    rows: list[Row] = []
    with stage.site() as site:
        facts = conditions(stage, site)
        with stage.bare() as bare:
            ratio = partial(reads.ratio, stage, site, bare)
            rows += [
                one(stage, name, partial(ratio, name)) for name in names if name in reads.RATIOS
            ]
        written = partial(writes.write, stage, site)
        rows += [
            one(stage, name, partial(written, name)) for name in names if name in writes.WRITES
        ]
    rows += [
        one(stage, name, partial(OWN_SERVER[name], stage)) for name in names if name in OWN_SERVER
    ]
    facts["MB of server log"] = round(stage.log_bytes / MEGABYTE)
    return sorted(rows, key=lambda row: NAMES.index(row.name)), facts


def main(words: list[str]) -> int:
    asked = arguments(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = options(asked)
    stage = Stage(asked.folder.resolve(), dict(os.environ), chosen, say)
    with contextlib.suppress(KeyboardInterrupt):
        stage.set_up(chosen.size)
        rows, facts = measure(stage, asked.names)
        label = facts["label"] if not (asked.quick or asked.only) else f"{facts['label']}-try"
        say(f"\n{report.write(rows, facts, label=label)}\nWritten to {report.RESULTS}")
        return exit_code(rows, judge=not chosen.before)
    return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
