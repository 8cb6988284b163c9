"""The table, the JSON and the plot of a run, in ``benchmarks/results``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .verdict import Row

RESULTS = Path(__file__).parent / "results"
TIMES = ("p50", "p95", "p99")


def as_json(rows: Sequence[Row], conditions: dict[str, Any]) -> dict[str, Any]:
    """Plain data of a run; ``table`` and ``plot`` draw from it, so that an earlier one can join."""
    return {
        "conditions": conditions,
        "rows": [
            {
                "name": row.name,
                "title": row.title,
                "target": row.target,
                "measured": row.measured,
                "verdict": row.verdict,
                "values": {
                    f"{check.name} {check.unit}".strip(): check.value for check in row.checks
                },
                "figures": row.figures,
            }
            for row in rows
        ],
    }


def table(run: dict[str, Any], before: dict[str, Any] | None = None) -> str:
    """Markdown; with ``before``, the owner's two columns."""
    known = {row["name"]: row["measured"] for row in before["rows"]} if before else {}
    heads = ["page", "target", *(["before"] if before else []), "measured", "verdict"]
    lines = [" | ".join(heads), " | ".join("---" for _ in heads)]
    for row in run["rows"]:
        middle = [known.get(row["name"], "not run")] if before else []
        cells = [row["title"], row["target"], *middle, row["measured"], row["verdict"]]
        lines.append(" | ".join(cell.replace("|", "\\|") for cell in cells))
    facts = "; ".join(f"{name} {value}" for name, value in run["conditions"].items())
    return "".join(f"| {line} |\n" for line in lines) + f"\n{facts}\n"


def comparable(run: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two runs asked the same of the same amount of data."""
    same = ("posts", "seconds", "rounds")
    return all(run["conditions"].get(name) == other["conditions"].get(name) for name in same)


def plot(run: dict[str, Any], path: Path, before: dict[str, Any] | None = None) -> None:
    """Draw answers a second and times of the rows that have them, on logarithmic scales."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    runs = [("before", before), ("after", run)] if before else [("measured", run)]
    names = [row["name"] for row in run["rows"] if _rate(row) is not None]
    if not names:
        return
    figure, (rates, times) = pyplot.subplots(1, 2, figsize=(13, 2 + 0.55 * len(names)))
    height = 0.8 / len(runs)
    for place, (label, each) in enumerate(runs):
        found = {row["name"]: row for row in each["rows"]}
        offset = [number + height * (place - (len(runs) - 1) / 2) for number in range(len(names))]
        values = [_rate(found[name]) if name in found else None for name in names]
        rates.barh(offset, [value or 0 for value in values], height, label=label)
        for number, value in zip(offset, values, strict=True):
            if value:
                rates.text(value, number, f" {value:,.0f}", va="center", fontsize=8)
        for mark, name in zip("o|x", TIMES, strict=True):
            points = [found.get(row, {}).get("values", {}).get(f"{name} ms") for row in names]
            known = [(x, y) for x, y in zip(points, offset, strict=True) if x is not None]
            if known:
                times.plot(
                    *zip(*known, strict=True), mark, color=f"C{place}", label=f"{label} {name}"
                )
    for axis, title in ((rates, "answers a second"), (times, "milliseconds")):
        axis.set_title(title)
        axis.set_xscale("log")
        axis.set_yticks(range(len(names)), names)
        axis.invert_yaxis()
        axis.grid(axis="x", alpha=0.3)
        axis.legend(fontsize=8, ncols=6, loc="upper center", bbox_to_anchor=(0.5, -0.09))
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _rate(row: dict[str, Any]) -> float | None:
    values = row["values"]
    return values.get("requests/s", values.get("a second"))


def write(rows: Sequence[Row], conditions: dict[str, Any], *, label: str) -> str:
    """Write ``<label>.json``, ``<label>.md`` and ``<label>.png``; returns the table.

    A run called ``after…`` shows the last one called ``before…`` beside its own where both
    asked the same.
    """
    RESULTS.mkdir(exist_ok=True)
    run, before = as_json(rows, conditions), None
    earlier = RESULTS / f"{label.replace('after', 'before')}.json"
    if label.startswith("after") and earlier.exists():
        other = json.loads(earlier.read_text())
        before = other if comparable(run, other) else None
    (RESULTS / f"{label}.json").write_text(json.dumps(run, indent=2) + "\n")
    text = table(run, before)
    (RESULTS / f"{label}.md").write_text(text)
    plot(run, RESULTS / f"{label}.png", before)
    return text
