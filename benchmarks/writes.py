"""Replies and votes a second, each counted again in the database."""

from __future__ import annotations

from statistics import median
from typing import Any

from .reads import errors, times
from .server import Server
from .stage import Stage
from .verdict import Check, Row

ROUNDS = 3
CONNECTIONS = 8  # enough to keep one worker busy; more only wait
LOST_SHARE = 0.02  # answers without a row: two draws of the same post and member

POST, VOTE = "debates_debatepost", "debates_debatevote"
# name -> title, target, wrk's mode, table, least a second, most milliseconds of p95
WRITES: dict[str, tuple[str, str, str, str, float, float | None]] = {
    "reply": ("Reply", "≥ 150 a second, p95 ≤ 60 ms", "reply", POST, 150, 60),
    "vote": (
        "Vote, spread over 2,000 posts", "≥ 250 a second, p95 ≤ 60 ms", "vote", VOTE, 250, 60,
    ),
    "vote-one": ("Vote, on one post", "≥ 50 a second", "one-post", VOTE, 50, None),
}  # fmt: skip


def write(stage: Stage, site: Server, name: str) -> Row:
    """Members write for some seconds; what was answered must be there afterwards."""
    title, target, mode, table, least, most = WRITES[name]
    row = Row(name, title, target)
    options: dict[str, Any] = {
        "mode": mode,
        "connections": CONNECTIONS,
        "members": "members.tsv",
        "posts": "posts.tsv",
        "topics": "topics.tsv",
    }
    stage.wrk(site.url, seconds=min(2, stage.options.seconds), **options)
    before = stage.count(table)
    loads = [
        stage.wrk(site.url, seconds=stage.options.seconds, **options)
        for _ in range(min(ROUNDS, stage.options.rounds))
    ]
    made = stage.count(table) - before
    answered = sum(load.requests - load.errors["status"] for load in loads)
    p50, p95, p99 = times(loads)
    row.checks = [
        Check("", median(load.rate for load in loads), "a second", least=least),
        p50,
        Check("p95", p95.value, "ms", most=most),
        p99,
        errors(*loads),
        Check("rows of those answered", made / max(1, answered), least=1 - LOST_SHARE),
    ]
    row.figures = {"rows": made, "answered": answered, "runs": [vars(load) for load in loads]}
    return row
