"""Charts drawn on the server: plain numbers in, an ``<svg>`` out.

Nothing here fetches, knows a model or carries a colour: classes do (``.chart`` in site.css), so
the dark theme is the stylesheet's, and the policy that forbids inline styles is kept. A chart
is a picture with a name and a description; its numbers stand in a table beside it, which is the
page's to show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import floor, log10

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

# Units of the picture: as many as a phone has pixels, so that the letters are readable there.
WIDTH, HEIGHT = 320, 160
LEFT, RIGHT, TOP, BOTTOM = 42, 4, 12, 20
LABELS = 5  # under the axis at the most


@dataclass(frozen=True)
class Point:
    """One value of a series. ``value`` ``None``: there is none. ``is_open``: it may still grow."""

    label: str
    value: float | None
    is_open: bool = False


@dataclass(frozen=True)
class Chart:
    """``name`` is unique on its page; ``told`` puts a value into words."""

    name: str
    title: str
    description: str
    points: Sequence[Point]
    told: Callable[[float], str] = str


def bars(chart: Chart) -> SafeString:
    """One bar a point, from zero."""
    top = _ceiling(chart.points)
    step = _step(chart)
    marks = []
    for n, point in enumerate(chart.points):
        if point.value is None:
            continue
        height = _height(point.value, top)
        marks.append(
            (
                "chart__bar chart__bar--open" if point.is_open else "chart__bar",
                _number(LEFT + n * step + step * 0.15),
                _number(HEIGHT - BOTTOM - height),
                _number(step * 0.7),
                _number(height),
                point.label,
                chart.told(point.value),
            )
        )
    drawn = format_html_join(
        "",
        '<rect class="{}" x="{}" y="{}" width="{}" height="{}"><title>{}: {}</title></rect>',
        marks,
    )
    return _frame(chart, top, drawn)


def line(chart: Chart) -> SafeString:
    """A line through the points, broken where there is no value; a dot at each."""
    top = _ceiling(chart.points)
    step = _step(chart)
    runs: list[list[str]] = [[]]
    dots = []
    for n, point in enumerate(chart.points):
        if point.value is None:
            runs.append([])
            continue
        x = _number(LEFT + (n + 0.5) * step)
        y = _number(HEIGHT - BOTTOM - _height(point.value, top))
        runs[-1].append(f"{x},{y}")
        kind = "chart__dot chart__dot--open" if point.is_open else "chart__dot"
        dots.append((kind, x, y, point.label, chart.told(point.value)))
    lines = format_html_join(
        "",
        '<polyline class="chart__line" points="{}"/>',
        ((" ".join(run),) for run in runs if len(run) > 1),
    )
    dotted = format_html_join(
        "", '<circle class="{}" cx="{}" cy="{}" r="3"><title>{}: {}</title></circle>', dots
    )
    return _frame(chart, top, lines + dotted)


def _frame(chart: Chart, top: float, drawn: SafeString) -> SafeString:
    """The picture round what was drawn: name, two rules with their values, labels below."""
    rules = format_html_join(
        "",
        '<line class="chart__rule" x1="{}" x2="{}" y1="{}" y2="{}"/>'
        '<text class="chart__words" x="{}" y="{}" text-anchor="end">{}</text>',
        (
            (LEFT, WIDTH - RIGHT, y, y, LEFT - 5, _number(y + 4), chart.told(value))
            for value, y in ((top, TOP), (0, HEIGHT - BOTTOM))
        ),
    )
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-labelledby="{}-title {}-desc">'
        '<title id="{}-title">{}</title><desc id="{}-desc">{}</desc>{}{}{}</svg>',
        WIDTH, HEIGHT, chart.name, chart.name, chart.name, chart.title, chart.name,
        chart.description, rules, drawn, _labels(chart),
    )  # fmt: skip


def _labels(chart: Chart) -> SafeString:
    """What stands under the axis: the last point's label, and every n-th before it."""
    every = -(-len(chart.points) // LABELS) or 1
    step, last = _step(chart), len(chart.points) - 1
    shown = range(last, -1, -every)
    return format_html_join(
        "",
        '<text class="chart__words" x="{}" y="{}" text-anchor="{}">{}</text>',
        (
            # the last one ends with the picture, whatever its length
            (WIDTH - RIGHT, HEIGHT - 6, "end", chart.points[n].label)
            if n == last
            else (_number(LEFT + (n + 0.5) * step), HEIGHT - 6, "middle", chart.points[n].label)
            for n in shown
        ),
    )


def _step(chart: Chart) -> float:
    return (WIDTH - LEFT - RIGHT) / max(1, len(chart.points))


def _height(value: float, top: float) -> float:
    return max(0.0, value) / top * (HEIGHT - TOP - BOTTOM)


def _ceiling(points: Iterable[Point]) -> float:
    """The first of 1, 2, 5, 10, 20 … that no value exceeds."""
    most = max((point.value for point in points if point.value is not None), default=0)
    if most <= 1:
        return 1
    power = 10 ** floor(log10(most))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= most)


def _number(value: float) -> str:
    """A coordinate as SVG wants it, whatever the reader's language writes for a point."""
    return f"{value:.1f}"
