"""The week in figures: counted once, kept, and told to staff.

A week is an ISO week of the site's time zone: from Monday 0:00 until the next Monday, which
is not part of it. Only what everybody may see at the moment of counting is counted:

- new members: active accounts made in the week;
- new debates, new posts: opened or written in it, and not removed since;
- unanswered debates: those of the new debates without a visible reply by anybody but their
  creator;
- time to first reply: of the new debates that have such a reply, the median of the time from
  the opening to the first one; ``None`` when none has.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta
from statistics import median

from django.db.models import Min, OuterRef, Subquery
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from core.words import span

from .models import DebatePost, DebateTopic, WeeklyReport

DAY = timedelta(days=1)
WEEK = 7 * DAY
WEEKS_SHOWN = 12  # on the staff page, and how far back missing weeks are made good
WAITING_SHOWN = 10
WAITING_WEEKS = 4  # older debates have left the lists, and nobody waits for an answer


@dataclass(frozen=True)
class Figures:
    """The numbers of a week, by the names of ``WeeklyReport``'s columns."""

    new_members: int
    new_topics: int
    new_posts: int
    unanswered_topics: int
    first_reply_seconds: int | None


def week_of(day: date) -> date:
    """The Monday of the week that ``day`` is in."""
    return day - timedelta(days=day.weekday())


def current_week() -> date:
    return week_of(timezone.localdate())


def begins(week: date) -> datetime:
    """The first moment of the week in the site's time zone."""
    return timezone.make_aware(datetime.combine(week, time.min))


def within(column: str, week: date) -> dict[str, datetime]:
    """Lookups for rows whose ``column`` lies in the week: one range of an index."""
    return {f"{column}__gte": begins(week), f"{column}__lt": begins(week + WEEK)}


def figures(week: date) -> Figures:
    """Count a week, or what there is of it so far. Three queries over ranges of that week."""
    members = User.objects.filter(is_active=True, **within("date_joined", week))
    posts = DebatePost.objects.published().filter(**within("created_at", week))
    topics = DebateTopic.objects.published().filter(**within("created_at", week))
    waits = list(topics.values_list("created_at", _first_reply()))
    seconds = [(first - opened).total_seconds() for opened, first in waits if first]
    return Figures(
        new_members=members.count(),
        new_topics=len(waits),
        new_posts=posts.count(),
        unanswered_topics=len(waits) - len(seconds),
        first_reply_seconds=round(median(seconds)) if seconds else None,
    )


def waiting_topics() -> list[DebateTopic]:
    """Return open debates of the last four weeks without an answer, longest wait first; one query."""
    since = begins(current_week() - WAITING_WEEKS * WEEK)
    topics = DebateTopic.objects.published().filter(created_at__gte=since, is_locked=False)
    waiting = topics.alias(first_reply_at=_first_reply()).filter(first_reply_at=None)
    return list(waiting.for_list().order_by("created_at", "pk")[:WAITING_SHOWN])


def _first_reply() -> Subquery:
    """When somebody but its creator first answered a debate, visibly: one probe of an index each."""
    replies = DebatePost.objects.filter(topic=OuterRef("pk"), is_deleted=False)
    first = replies.exclude(author=OuterRef("creator")).order_by("created_at")
    return Subquery(first.values("created_at")[:1])


def write_missing() -> WeeklyReport | None:
    """Count and keep each full week that is missing, at most ``WEEKS_SHOWN`` back.

    Returns the last full week if this call was the one to write it, so that it is told once;
    ``None`` otherwise. Weeks before the first account are left out. Safe to run twice at
    once: the second waits at the insert and finds the row.
    """
    last = current_week() - WEEK
    weeks = [last - n * WEEK for n in range(WEEKS_SHOWN)]
    known = set(WeeklyReport.objects.filter(week__in=weeks).values_list("week", flat=True))
    first = User.objects.aggregate(first=Min("date_joined"))["first"]
    told = None
    for week in sorted(set(weeks) - known):
        if first is None or first >= begins(week + WEEK):
            continue
        row, is_new = WeeklyReport.objects.get_or_create(week=week, defaults=asdict(figures(week)))
        if is_new and week == last:
            told = row
    return told


# --- in words ----------------------------------------------------------------------

LABELS = {
    "new_members": _("Novos leitores"),
    "new_topics": _("Novos debates"),
    "new_posts": _("Novas respostas"),
    "unanswered_topics": _("Debates sem resposta"),
    "first_reply_seconds": _("Até a primeira resposta"),
}


@dataclass(frozen=True)
class Line:
    """One figure in words. ``change``: to the week before, ``""`` where there is nothing to compare."""

    label: str
    value: str
    change: str


def lines(report: WeeklyReport) -> list[Line]:
    """The figures of a week beside those of the week before. One query."""
    before = WeeklyReport.objects.filter(week=report.week - WEEK).first()
    return [
        Line(
            str(label),
            shown(name, getattr(report, name)),
            _change(name, getattr(before, name, None), getattr(report, name)),
        )
        for name, label in LABELS.items()
    ]


def shown(name: str, value: int | None) -> str:
    """The value of a figure in the reader's language."""
    return span(value) if name == "first_reply_seconds" else str(number_format(value or 0))


def _change(name: str, before: int | None, now: int | None) -> str:
    if before is None or now is None:
        return ""
    if before == now:
        return "="
    return f"{'+' if now > before else '−'}{shown(name, abs(now - before))}"
