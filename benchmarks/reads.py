"""Pages: as a ratio to a bare view, and cold."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

from .server import Server
from .stage import SMALL, Stage
from .verdict import Check, Row
from .wrk import Load, NotMeasured

WARM_SECONDS = 3
COUNTED = 50  # pages asked for when statements are counted
FEW_MEMBERS = 1_000  # so many take turns; all of them have been there before the measuring
SIZE_SLACK = 0.1  # a run whose answers differ more from the page's own size read something else
KILOBYTE = 1024
COLD_SQL = 6  # the five that a cold page may spend, and the connection's health check

# name -> title, page, whether a member reads it, least ratio, most statements
RATIOS: dict[str, tuple[str, str, bool, float, int | None]] = {
    "topic": ("Topic of 40 posts: anonymous, warm", "topic", False, 1.0, 0),
    "book": ("Book: anonymous, warm", "book", False, 1.0, 0),
    "home": ("Home: anonymous, warm", "home", False, 1.0, 0),
    "list": ("Debates list: anonymous, warm, limit counted", "list", False, 0.4, 0),
    "list-member": ("Debates list: member, warm", "list", True, 0.25, None),
    "topic-member": ("Topic of 40 posts: member, warm", "topic", True, 0.2, None),
}


def ratio(stage: Stage, site: Server, bare: Server, name: str) -> Row:
    """Page and bare view in turns, as many bytes each; the median of the ratios of the turns."""
    title, kind, is_member, least, most = RATIOS[name]
    target = f"≥ {least} of the bare view" + (", 0 SQL" if most == 0 else "")
    row = Row(name, title, target)
    (path,) = stage.pages[kind]
    for _ in range(3):
        answer = stage.ask(site, path, member=is_member)
    same = _same_size(stage, bare, answer.bytes)
    options: dict[str, Any] = {"paths": f"{kind}.tsv"}
    if is_member:
        options |= {"members": "members.tsv", "few": FEW_MEMBERS}
    pages, bares = [], []
    stage.wrk(site.url, seconds=min(WARM_SECONDS, stage.options.seconds), **options)
    (stage.wrk.folder / "bare.tsv").write_text(f"{same}\n")
    for _ in range(stage.options.rounds):
        pages.append(stage.wrk(site.url, seconds=stage.options.seconds, **options))
        bares.append(stage.wrk(bare.url, seconds=stage.options.seconds, paths="bare.tsv"))
    sql = stage.statements(site, [path] * COUNTED, member=is_member)
    sizes = [load.size for load in pages if load.requests]
    if any(abs(size / answer.bytes - 1) > SIZE_SLACK for size in sizes):
        row.problem = f"answers of {sizes} bytes where one had {answer.bytes}"
    ratios = [page.rate / view.rate for page, view in zip(pages, bares, strict=True)]
    best = median(load.rate for load in pages)
    row.checks = [
        Check("ratio", median(ratios), least=least),
        Check("", best, "requests/s"),
        Check("bare", median(load.rate for load in bares), "requests/s"),
        *times(pages),
        Check("SQL a page", sql, most=most),
        errors(*pages, *bares),
    ]
    row.figures = {
        "ratios": ratios,
        "bytes": answer.bytes,
        "bytes_of_the_bare_view": stage.ask(bare, same).bytes,
        "pages": [vars(load) for load in pages],
        "bare": [vars(load) for load in bares],
    }
    return row


def _same_size(stage: Stage, bare: Server, size: int) -> str:
    """The bare view's path whose answer is, headers and all, ``size`` bytes long."""
    guess = size
    for _ in range(3):
        got = stage.ask(bare, f"/bytes/{guess}").bytes
        guess = max(1, guess + size - got)
    return f"/bytes/{guess}"


def times(loads: list[Load]) -> list[Check]:
    """Median over the runs of p50, p95 and p99."""
    return [
        Check(name, median(getattr(load, name) for load in loads), "ms")
        for name in ("p50", "p95", "p99")
    ]


def errors(*loads: Load) -> Check:
    return Check("errors", sum(load.failed for load in loads), most=0)


def one_reader(stage: Stage, site: Server, kind: str) -> float:
    """The median of what one reader after the other waits for a page of ``kind``, in ms."""
    seconds = max(1, stage.options.seconds / 4)
    load = stage.wrk(site.url, seconds=seconds, connections=1, paths=f"{kind}.tsv")
    if load.failed:
        raise NotMeasured(f"errors: {load.errors}")
    return load.p50


def turns(one: Callable[[], float], other: Callable[[], float], rounds: int) -> list[tuple]:
    """Measure two things in turns, so that both see the same machine; the first turn is no figure."""
    return [(one(), other()) for _ in range(rounds + 1)][1:]


def cold(stage: Stage) -> Row:
    """List and topics without any cached page or part, and the same in a small database."""
    size = stage.options.size.posts
    row = Row(
        "cold",
        f"List and topic: anonymous, cold, {size:,} posts",
        "median ≤ 25 ms, ≤ 1.3 × the same at 20,000 posts",
    )
    small = stage.beside("small", SMALL) if size > SMALL.posts else stage
    with stage.site(PAGE_CACHE="off") as site, small.site(PAGE_CACHE="off") as beside:
        for name, kind in (("list", "list"), ("topic", "ordinary")):
            found = turns(
                partial(one_reader, stage, site, kind),
                partial(one_reader, small, beside, kind),
                stage.options.rounds,
            )
            row.checks.append(Check(name, median(one for one, _ in found), "ms", most=25))
            if small is not stage:
                ratio = median(one / other for one, other in found)
                row.checks.append(Check(f"{name} ×", ratio, most=1.3))
            paths = (stage.pages[kind] * COUNTED)[:COUNTED]
            row.checks.append(Check(f"SQL of {name}", stage.statements(site, paths), most=COLD_SQL))
            row.figures[f"{name}, ms here and in the small one"] = found
    return row


def long(stage: Stage) -> Row:
    """The first page of the longest debate beside one of forty posts, both cold."""
    row = Row(
        "long",
        f"First page of the {stage.posts['long']:,}-post topic",
        "≤ 1.2 × an ordinary one; ≤ 60 KB of HTML",
    )
    with stage.site(PAGE_CACHE="off") as site:
        page = stage.ask(site, stage.pages["long"][0])
        found = turns(
            partial(one_reader, stage, site, "long"),
            partial(one_reader, stage, site, "ordinary"),
            stage.options.rounds,
        )
    row.checks = [
        Check("×", median(one / other for one, other in found), most=1.2),
        Check("", median(one for one, _ in found), "ms"),
        Check("ordinary", median(other for _, other in found), "ms"),
        Check("", len(page.body) / KILOBYTE, "KB", most=60),
    ]
    row.figures = {"ms, long and ordinary": found}
    return row
