"""Shapes of a thread. Nothing here queries or caches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django import template

from debates.models import DebatePost

register = template.Library()


@register.filter
def with_cue(posts: Iterable[DebatePost]) -> Iterator[tuple[DebatePost, bool]]:
    """Each post, and whether it must say whom it answers: its parent is not right above."""
    above = None
    for post in posts:
        yield post, post.parent_id is not None and post.parent_id != above
        above = post.pk
