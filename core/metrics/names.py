"""Every metric that the site exports: its name, what it means, its labels, its buckets.

Rules and the dashboard under ``deploy/`` may name nothing else; a test compares.
"""

from __future__ import annotations

from dataclasses import dataclass

PREFIX = "cgbookstore_"


@dataclass(frozen=True)
class Measure:
    """A counter, a gauge or, with ``buckets`` (upper bounds), a histogram."""

    kind: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
TASK_SECONDS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0)
QUERIES = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0, 50.0)

# Counted in every process, added up over all of them.
COUNTED = {
    "requests": Measure("counter", "Requests answered.", ("view", "status")),
    "request_seconds": Measure(
        "histogram", "Time to answer a request, in the process.", ("view",), SECONDS
    ),
    "request_queries": Measure("histogram", "SQL statements a request.", ("view",), QUERIES),
    "slow_queries": Measure(
        "counter", "Statements slower than SLOW_QUERY_MS, of a view or of a task.", ("view", "task")
    ),
    "cache_reads": Measure(
        "counter",
        "Reads of kept data: near and fresh were served, stale and missing were rebuilt or"
        " served old, unreachable found no Redis.",
        ("room", "scope", "outcome"),
    ),
    "limits_hit": Measure("counter", "Requests refused with 429.", ("name",)),
    "redis_breaker_opened": Measure("counter", "Times a process gave a Redis up.", ("server",)),
    "tasks": Measure(
        "counter",
        "Tasks that ended: done, failed, again, expired before they began, or killed.",
        ("task", "queue", "outcome"),
    ),
    "task_seconds": Measure("histogram", "Time a task ran.", ("task", "queue"), TASK_SECONDS),
    "counters_drifted": Measure("counter", "Debates and readers whose counters were repaired."),
}
# Said by every living process; its value goes with it.
HELD = {
    "redis_breaker_open": Measure(
        "gauge", "Processes that take a Redis for gone just now.", ("server",)
    ),
    "processes": Measure("gauge", "Processes that count."),
    "resident_bytes": Measure("gauge", "Memory of all processes that count."),
}
# Asked when somebody scrapes; what does not answer in time is left out.
ASKED = {
    "part_up": Measure("gauge", "1 if a part of /readyz is well.", ("part",)),
    "ready": Measure("gauge", "1 if /readyz answers 200."),
    "queue_length": Measure("gauge", "Tasks that wait in a queue.", ("queue",)),
    "heartbeat_age_seconds": Measure(
        "gauge", "Since a worker of the queue last beat; a year if it never did.", ("queue",)
    ),
    "beat_age_seconds": Measure(
        "gauge", "Since Beat last sent anything, which it notes every three minutes; a year: never."
    ),
    "mails_waiting": Measure("gauge", "Mails that are not sent.", ("queue",)),
    "mails_overdue": Measure(
        "gauge", "Of those, mails that nobody tried in two minutes.", ("queue",)
    ),
    "untried_mail_age_seconds": Measure(
        "gauge", "Age of the oldest mail that nobody has tried to send.", ("queue",)
    ),
}
ALL = {**COUNTED, **HELD, **ASKED}


def exported() -> set[str]:
    """The names as they stand on the page: counters end in ``_total``, histograms are three."""
    ends = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
    return {f"{PREFIX}{name}{end}" for name, measure in ALL.items() for end in ends[measure.kind]}
