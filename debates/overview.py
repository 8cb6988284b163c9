"""The community's part of the staff page: weeks as charts and as a table, recounts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.utils.formats import date_format, number_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from core.charts import Chart, Point, bars, line

from . import cache, reports
from .models import DriftReport, WeeklyReport
from .reports import LABELS, WEEK, WEEKS_SHOWN, Figures

NIGHTS_SHOWN = 30
DRIFTS_SHOWN = 10  # lines of the last night that had any; the admin has all that are kept
HOUR = 3600


@dataclass(frozen=True)
class Picture:
    """A chart beside its name and its newest value, both in words."""

    title: str
    value: str
    svg: SafeString


@dataclass(frozen=True)
class Row:
    """One week of the table; the values in the order of ``LABELS``."""

    week: date
    is_open: bool
    values: list[str]


def community() -> dict[str, Any]:
    """The context of the page but for the machinery. Three queries; four more, once in five minutes."""
    this = reports.current_week()
    now, waiting = cache.week_so_far(this)
    kept = {report.week: report for report in WeeklyReport.objects.filter(week__gte=this - _span())}
    weeks = [(week, kept.get(week)) for week in _weeks(this)]
    nights = list(DriftReport.objects.order_by("-night").defer("lines")[:NIGHTS_SHOWN])
    return {
        "pictures": [_picture(name, weeks, this, now) for name in LABELS],
        "labels": LABELS.values(),
        "rows": [
            Row(week, week == this, [reports.shown(name, getattr(known, name)) for name in LABELS])
            for week, known in [(this, now), *reversed(weeks)]
            if known
        ],
        "waiting": waiting,
        "nights": nights,
        "nights_picture": _nights_picture(nights),
        "last_drift": DriftReport.objects.filter(drifted__gt=0).order_by("-night").first(),
        "drifts_shown": DRIFTS_SHOWN,
    }


def _span() -> timedelta:
    return WEEKS_SHOWN * WEEK


def _weeks(this: date) -> list[date]:
    return [this - n * WEEK for n in range(WEEKS_SHOWN, 0, -1)]


def _picture(
    name: str, weeks: list[tuple[date, WeeklyReport | None]], this: date, now: Figures
) -> Picture:
    is_time = name == "first_reply_seconds"

    def value(known: WeeklyReport | Figures | None) -> float | None:
        number = getattr(known, name, None)
        return number / HOUR if is_time and number is not None else number

    points = [Point(_day(week), value(known)) for week, known in weeks]
    points.append(Point(_day(this), value(now), is_open=True))
    title, newest = str(LABELS[name]), reports.shown(name, getattr(now, name))
    description = _(
        "Semana a semana, de %(first)s até esta; os números estão na tabela abaixo."
    ) % {"first": _day(weeks[0][0])}
    chart = Chart(f"chart-{name}", title, description, points, _hours if is_time else _number)
    return Picture(title, newest, (line if is_time else bars)(chart))


def _nights_picture(nights: list[DriftReport]) -> Picture | None:
    if not nights:
        return None
    points = [Point(_day(night.night), night.drifted) for night in reversed(nights)]
    title = _("Debates corrigidos por noite")
    description = ngettext(
        "A última noite.", "As últimas %(n)d noites que recontaram.", len(nights)
    ) % {"n": len(nights)}
    chart = Chart("chart-nights", title, description, points, _number)
    return Picture(title, _number(nights[0].drifted), bars(chart))


def _day(day: date) -> str:
    return str(date_format(day, "d/m"))


def _number(value: float) -> str:
    return str(number_format(value))


def _hours(hours: float) -> str:
    return _("%(hours)s h") % {"hours": number_format(round(hours, 1))}
