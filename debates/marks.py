"""What of a kept debate page is the member's own: their votes, their words, their tools."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.template.loader import render_to_string

from accounts.models import User

from . import reading_counts
from .models import DebatePost, DebateTopic
from .querysets import own_of_topic


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
    """Return the pressed buttons of the member's votes, the tools of their posts and their debate.

    One query: the member's votes on the posts of this page, whether they follow the debate, and
    how many notifications of it they have not read.
    """
    user, posts = request.user, note["posts"]
    votes, state, unread = own_of_topic(user, note["topic"]["id"], [int(pk) for pk in posts])
    own = follow_marks(state)
    for post_id, value in votes.items():
        # pressed, and a click takes it back
        button = "up" if value > 0 else "down"
        own[f"{button}-{post_id}"], own[f"{button}-pressed-{post_id}"] = "0", "true"
    written = [pk for pk, facts in posts.items() if facts["author_id"] == user.pk]
    is_creator = note["topic"]["creator_id"] == user.pk
    if not (written or is_creator or unread):
        return own
    topic = DebateTopic(**note["topic"])
    topic.my_unread = unread
    shared = {
        "topic_url": topic.get_absolute_url(),
        "is_open": note["is_open"],
        "user": user,
        "csrf_token": csrf_token,
    }
    if unread:
        own["unread-here"] = render_to_string("debates/_read_here.html", {"topic": topic, **shared})
    for pk in written:
        context = {"post": _post(int(pk), posts[pk]), **shared}
        own[f"post-{pk}"] = render_to_string("debates/_post_tools.html", context)
    if is_creator:
        context = {"topic": topic, "state": state, **shared}
        own["topic"] = render_to_string("debates/_topic_tools.html", context)
    return own


def follow_marks(state: str) -> dict[str, str]:
    """What the buttons of ``debates/_follow.html`` say where the member follows or mutes."""
    return {f"set-{state}": "", f"pressed-{state}": "true"} if state else {}


def _post(pk: int, facts: dict[str, Any]) -> DebatePost:
    author = User(pk=facts["author_id"], display_name=facts["author"])
    post = DebatePost(pk=pk, author=author, score=facts["score"], is_locked=facts["is_locked"])
    post.my_vote = 0  # nobody votes on their own
    return post
