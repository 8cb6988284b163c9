"""What of a kept debate page is the member's own: their votes, their words, their tools."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.template.loader import render_to_string

from accounts.models import User

from . import reading_counts
from .models import DebatePost, DebateTopic, DebateVote


def topic_note(topic: DebateTopic, posts: list[DebatePost], *, is_open: bool) -> dict[str, Any]:
    """Return the plain data from which ``topic_marks`` draws a member's own tools."""
    return {
        "topic": {"id": topic.pk, "slug": topic.slug, "creator_id": topic.creator_id},
        "is_open": is_open,
        "posts": {
            str(post.pk): {
                "author_id": post.author_id, "author": post.author.name,
                "score": post.score, "is_locked": post.is_locked,
            }
            for post in posts
            if post.shows_words and not post.is_deleted
        },
    }  # fmt: skip


def topic_read(request: HttpRequest, note: dict[str, Any]) -> None:
    """Count a reading of the debate; no query, no round trip."""
    reader = getattr(request, "user", None)  # none before the kept page of anonymous readers
    topic = note["topic"]
    is_creator = reader is not None and reader.pk == topic["creator_id"]
    reading_counts.seen(request, topic["id"], is_creator=is_creator)


def topic_marks(request: HttpRequest, note: dict[str, Any], csrf_token: str) -> dict[str, str]:
    """Return the parts for posts that the member voted on or wrote, and for their own debate.

    One query: the member's votes on the posts of this page.
    """
    user, posts = request.user, note["posts"]
    votes = DebateVote.objects.filter(user=user, post__in=[int(pk) for pk in posts])
    voted = {str(pk): value for pk, value in votes.values_list("post_id", "value")}
    topic = DebateTopic(**note["topic"])
    shared = {
        "topic_url": topic.get_absolute_url(),
        "is_open": note["is_open"],
        "user": user,
        "csrf_token": csrf_token,
    }
    own = {}
    for pk, facts in posts.items():
        if pk in voted or facts["author_id"] == user.pk:
            post = _post(int(pk), facts)
            post.my_vote = voted.get(pk, 0)
            own[f"post-{pk}"] = render_to_string(
                "debates/_post_tools.html", {"post": post, **shared}
            )
    if topic.creator_id == user.pk:
        own["topic"] = render_to_string("debates/_topic_tools.html", {"topic": topic, **shared})
    return own


def _post(pk: int, facts: dict[str, Any]) -> DebatePost:
    author = User(pk=facts["author_id"], display_name=facts["author"])
    return DebatePost(pk=pk, author=author, score=facts["score"], is_locked=facts["is_locked"])
