"""What the derived columns should say, counted from the rows; for repair, not for requests."""

from __future__ import annotations

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from .models import DebatePost, DebateTopic, DebateVote


def real_score() -> Coalesce:
    """The sum of a post's votes, as a subquery."""
    votes = DebateVote.objects.filter(post=OuterRef("pk")).order_by().values("post")
    return Coalesce(Subquery(votes.annotate(total=Sum("value")).values("total")), 0)


def drifted_posts(posts: QuerySet[DebatePost]) -> QuerySet[DebatePost]:
    """Those of ``posts`` whose score or number of direct replies is not that of the rows."""
    replies = DebatePost.objects.filter(parent=OuterRef("pk")).order_by().values("parent")
    counted = posts.annotate(
        real_score=real_score(),
        real_replies=Coalesce(Subquery(replies.annotate(n=Count("pk")).values("n")), 0),
    )
    return counted.exclude(Q(score=F("real_score")) & Q(replies_count=F("real_replies")))


def drifted_topics(first: int, last: int) -> list[int]:
    """Ids from ``first`` to ``last`` of debates with a counter or a date that drifted.

    Two queries that read those debates' posts and votes, and lock nothing: a debate that
    moves meanwhile may be named in vain, and ``services.sync_topic`` then finds no drift.
    """
    shown = DebatePost.objects.filter(topic=OuterRef("pk"), is_deleted=False)
    number = shown.order_by().values("topic").annotate(n=Count("pk")).values("n")
    newest = shown.order_by("-created_at", "-pk")
    topics = DebateTopic.objects.filter(pk__range=(first, last)).annotate(
        real_count=Coalesce(Subquery(number), 0),
        real_last=Coalesce(Subquery(newest.values("pk")[:1]), 0),
        real_date=Coalesce(Subquery(newest.values("created_at")[:1]), F("created_at")),
        known_last=Coalesce(F("last_post_id"), 0),
    )
    sound = Q(posts_count=F("real_count"), known_last=F("real_last"), updated_at=F("real_date"))
    posts = drifted_posts(DebatePost.objects.filter(topic__id__range=(first, last)))
    by_posts = posts.order_by().values_list("topic_id", flat=True).distinct()
    return sorted({*topics.exclude(sound).values_list("pk", flat=True), *by_posts})
