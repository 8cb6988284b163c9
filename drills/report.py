"""The table of a drill, for a terminal and for docs/reliability.md."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from .faults import Row

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).parent / "results"
DOCS = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- drill: begin -->", "<!-- drill: end -->"
HEADS = ("fault", "requests", "errors", "p95 ms", "readers after", "mail and heartbeat after")


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    lines = [" | ".join(HEADS), " | ".join("---" for _ in HEADS)]
    lines += [" | ".join(cells(row)) for row in rows]
    return "".join(f"| {line} |\n" for line in lines)


def cells(row: Row) -> list[str]:
    errors = ", ".join(f"{count} {kind}" for kind, count in sorted(row.errors.items()))
    marked = f"{errors} (!)" if row.wrong else errors
    return [
        row.fault.title,
        f"{row.requests:,}",
        marked or "0",
        f"{row.p95:,.0f}",
        seconds(row.site),
        seconds(row.background),
    ]


def seconds(value: float | None) -> str:
    if value is None:
        return "not at all (!)"
    return f"{value:.0f} s" if not value or value >= 10 else f"{value:.{1 if value >= 1 else 2}f} s"


def facts(found: dict[str, object]) -> str:
    return "; ".join(f"{name} {value}" for name, value in found.items())


def write(rows: Sequence[Row], found: dict[str, object], wrong: Sequence[str], folder: Path) -> str:
    """Write ``drill.md`` and ``drill.json`` in ``folder``; returns the text."""
    folder.mkdir(exist_ok=True)
    text = f"{table(rows)}\n{facts(found)}\n"
    (folder / "drill.md").write_text(text)
    known = {
        "rows": [dict(zip(HEADS, cells(row), strict=True)) for row in rows],
        "facts": found,
        "wrong": list(wrong),
    }
    (folder / "drill.json").write_text(json.dumps(known, indent=2, ensure_ascii=False) + "\n")
    return text


def into_docs(text: str, path: Path = DOCS) -> None:
    """Put ``text`` between the marks of the page."""
    page = path.read_text()
    new = re.sub(
        f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}\n{text}{END}", page, count=1, flags=re.DOTALL
    )
    path.write_text(new)
