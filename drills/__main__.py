"""``python3 dev.py drill``: take every part of the site away under load and see what is lost.

``python -m drills FOLDER``, a throw-away folder in which Postgres and Redis may already run, with
the environment of ``dev.py``. Exit code 1 when something acknowledged is lost or done twice, when
a reader saw an error that the fault does not excuse, or when the site did not recover.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.__main__ import commit
from core.embedded import procfile

from . import faults, report, verdict
from .client import TIMEOUT_SECONDS, Client
from .faults import FAULTS, NAMES, NOTHING, Fault, Recovery, Row
from .ledger import Ledger
from .load import Load
from .stage import Stage, StageFailed
from .verdict import Evidence

USUAL_SECONDS, QUICK_SECONDS = 12, 3
WARM_SECONDS = 3  # three times that where figures are read
HASTY_TIMEOUT_SECONDS = 20
MOST_SENTENCES = 40
# They cut a mail off between its hand-over and the note of it; and how long before they began
# that may have been handed over, in seconds.
MAY_SEND_TWICE = {
    "worker-stop",
    "worker-hang",
    "bulk-stop",
    "bulk-hang",
    "postgres-stop",
    "postgres-restart",
}
BEFORE_SECONDS = 2


def say(text: str) -> None:
    print(text, flush=True)


def on_signals(answer: Any) -> None:
    for number in procfile.SIGNALS:
        signal.signal(number, answer)


def stop_once(number: int, frame: object) -> None:
    """End the drill in order; a second signal does not disturb the end."""
    on_signals(signal.SIG_IGN)
    sys.exit(128 + number)


def arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="dev.py drill", description="Take every part of the site away under load."
    )
    parser.add_argument("folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument(
        "--quick", action="store_true", help=f"{QUICK_SECONDS} s a fault, and a hasty Beat"
    )
    parser.add_argument("--only", help=f"some of: {', '.join(NAMES)}; with commas")
    parser.add_argument("--seconds", type=float, help=f"of one fault; usually {USUAL_SECONDS}")
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="folder of the table")
    parser.add_argument(
        "--write", action="store_true", help="put the table into docs/reliability.md"
    )
    asked = parser.parse_args(words)
    names = asked.only.split(",") if asked.only else NAMES
    if unknown := set(names) - set(NAMES):
        parser.error(
            f"there is no fault {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}"
        )
    asked.faults = [fault for fault in FAULTS if fault.name in names]
    asked.seconds = asked.seconds or (QUICK_SECONDS if asked.quick else USUAL_SECONDS)
    return asked


def drill(
    stage: Stage, asked: Sequence[Fault], seconds: float, *, patient: bool
) -> tuple[list[Row], Evidence, list[str]]:
    """Each fault in turn under one load; the rows, what to compare, and what the drill itself met."""
    # the short form runs beside other tests, and says nothing of seconds
    client = Client(stage.port, TIMEOUT_SECONDS if patient else HASTY_TIMEOUT_SECONDS)
    ledger = Ledger()
    recovery, rows = Recovery(stage, client, ledger), []
    with Load(client, ledger, stage.known) as load:
        time.sleep(3 * WARM_SECONDS if patient else WARM_SECONDS)
        for fault in asked:
            row = faults.run(fault, stage, client, recovery, seconds, patient=patient)
            rows.append(row)
            say("  " + " | ".join(report.cells(row)[: None if patient else -1]))
    problems = [f"the drill itself failed: {problem!r}" for problem in load.problems]
    end = time.monotonic()
    if recovery.well(end) is None or recovery.mail(0.0, end) is None:
        problems.append("mail or heartbeat did not come after the last fault")
    for row in rows if not patient else ():
        missing, last = recovery.mails(row.began, row.until)
        row.recovered(None if missing else last)
    disturbed = [
        (row.began - BEFORE_SECONDS, row.ended + (row.site or 0.0) + BEFORE_SECONDS)
        for row in rows
        if row.fault.name in MAY_SEND_TWICE
    ]
    return rows, Evidence(stage, ledger, stage.sink, disturbed), problems


def seen_wrong(rows: Sequence[Row]) -> list[str]:
    """What readers should not have seen, and what did not recover."""
    wrong = [
        f"{row.fault.title}: {count} × {kind}" for row in rows for kind, count in row.wrong.items()
    ]
    for row in rows:
        if row.site is None or row.background is None:
            wrong.append(f"{row.fault.title}: did not recover")
        wrong += [f"{row.fault.title}: it ended by itself: {words}" for words in row.died]
        if not row.requests:
            wrong.append(f"{row.fault.title}: nobody asked anything")
    return wrong


def main(words: list[str]) -> int:
    asked = arguments(words)
    on_signals(stop_once)
    began, load = time.monotonic(), round(os.getloadavg()[0], 1)
    stage = Stage(asked.folder.resolve(), dict(os.environ), hasty=asked.quick, say=say)
    try:
        with stage.running():
            chosen = asked.faults if NOTHING in asked.faults else [NOTHING, *asked.faults]
            rows, seen, wrong = drill(stage, chosen, asked.seconds, patient=not asked.quick)
            wrong += seen_wrong(rows) + verdict.compare(seen)
            compared = verdict.tally(seen)
    except StageFailed as error:
        say(f"The drill could not be held: {error}")
        return 1
    found: dict[str, object] = {
        "day": time.strftime("%Y-%m-%d"),
        "commit": commit(),
        "seconds a fault": f"{asked.seconds:g}",
        "cores": os.cpu_count(),
        "load before": load,  # of the machine; more than its cores: not alone
        "minutes": round((time.monotonic() - began) / 60, 1),
        **compared,
    }
    text = report.write(rows, found, wrong, asked.results)
    say(f"\n{text}\nWritten to {asked.results}")
    if asked.write:
        report.into_docs(text)
    if wrong:
        say("\n".join(wrong[:MOST_SENTENCES]))
        say(f"{len(wrong)} things are wrong.")
    else:
        say("Nothing acknowledged is lost, nothing was done twice.")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
