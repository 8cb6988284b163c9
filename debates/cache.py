"""Every key of the debates, what makes their pages stale, and who says so."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from functools import lru_cache
from typing import Any, TypeVar

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Model

from accounts.cache import PEOPLE
from accounts.models import User
from core import cache, scopes
from core.models import Book

from . import reports
from .models import DebatePost, DebateTopic
from .querysets import TopicQuerySet

M = TypeVar("M", bound=Model)

TOPICS = "debates.topics"  # what lists of debates show


def topic(slug: str) -> str:
    return f"debates.topic.{slug}"


def list_scopes(params, **kwargs) -> list[str]:
    """Of one page of the list; that of a single book hears of that book alone."""
    book = params.get("livro")
    return [scopes.book(book) if book else TOPICS, PEOPLE, scopes.CATALOGUE]


def topic_scopes(params, *, slug: str) -> list[str]:
    return [topic(slug), PEOPLE, scopes.CATALOGUE]


def topic_changed(changed: DebateTopic) -> None:
    """A debate, or its place in the lists, is not what it was; it brings its book."""
    cache.bump(topic(changed.slug), TOPICS, scopes.book(changed.book.slug))


def votes_changed(changed: DebateTopic) -> None:
    """Only the points on the debate's own page."""
    cache.bump(topic(changed.slug))


def newest_topics() -> list[DebateTopic]:
    """Return the debates of the list's first page and one more, for everyone.

    Kept as plain data under the owner's key; one query when stale, as ``for_list`` says.
    """

    def build() -> list[dict[str, Any]]:
        topics = DebateTopic.objects.published().for_list().order_by(*TopicQuerySet.ACTIVE_FIRST)
        return [_plain(topic) for topic in topics[: settings.TOPICS_PER_PAGE + 1]]

    rows = cache.remember("debates:list:v1", [TOPICS, PEOPLE, scopes.CATALOGUE], build)
    return [_topic(row) for row in rows]


def week_so_far(week: date) -> tuple[reports.Figures, list[DebateTopic]]:
    """Return the running week's figures and the debates that wait, for staff.

    Kept for as long as anything is, whatever changes meanwhile; four queries when stale.
    """

    def build() -> dict[str, Any]:
        waiting = [_plain(topic) for topic in reports.waiting_topics()]
        return {"figures": asdict(reports.figures(week)), "waiting": waiting}

    kept = cache.remember(f"debates:week:{week.isoformat()}:v1", [], build)
    return reports.Figures(**kept["figures"]), [_topic(row) for row in kept["waiting"]]


_TOPIC = ("id", "title", "slug", "spoiler_percent", "is_pinned", "is_locked", "posts_count")
_BOOK = ("id", "title", "slug", "byline", "folded_title")
_PERSON = ("id", "username", "display_name", "is_active")


def _plain(row: DebateTopic) -> dict[str, Any]:
    last = row.last_post
    return {
        **{name: getattr(row, name) for name in _TOPIC},
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
        "book": {name: getattr(row.book, name) for name in _BOOK},
        "creator": {name: getattr(row.creator, name) for name in _PERSON},
        "last_post": last and {
            "id": last.pk,
            "author": {name: getattr(last.author, name) for name in _PERSON},
        },
    }  # fmt: skip


def _topic(row: dict[str, Any]) -> DebateTopic:
    facts = {name: row[name] for name in _TOPIC} | {"is_deleted": False}  # no list has others
    for name in ("created_at", "updated_at"):
        facts[name] = datetime.fromisoformat(row[name])
    topic = _made(DebateTopic, facts)
    topic.book, topic.creator = _made(Book, row["book"]), _made(User, row["creator"])
    topic.last_post = None
    if last := row["last_post"]:
        topic.last_post = _made(DebatePost, {"id": last["id"]})
        topic.last_post.author = _made(User, last["author"])
    return topic


def _made(model: type[M], facts: dict[str, Any]) -> M:
    """A row of which only ``facts`` are known, as if it had been read with ``only``.

    A third of what ``model(**facts)`` costs, which gives each other field its default.
    """
    names = _in_order(model, tuple(facts))
    return model.from_db(DEFAULT_DB_ALIAS, names, [facts[name] for name in names])


@lru_cache
def _in_order(model: type[Model], names: tuple[str, ...]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields if field.attname in names]
