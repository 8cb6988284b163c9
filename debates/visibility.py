"""The one place that decides what a viewer may see of a debate.

Pages, permalinks, search, profiles, admin links and everything that quotes a post ask here.
"""

from __future__ import annotations

from django.db.models import Q


def topics(user) -> Q:
    """Debates that ``user`` may open."""
    return Q() if user.is_staff else Q(is_deleted=False)


def posts(user) -> Q:
    """Posts whose words ``user`` may read; a removed debate takes its posts with it."""
    return Q() if user.is_staff else Q(is_deleted=False, topic__is_deleted=False)


def thread(user) -> Q:
    """Posts that keep a place in their thread: a removed one that was answered stays, wordless."""
    return Q() if user.is_staff else Q(is_deleted=False) | Q(replies_count__gt=0)


def shows_words(post, user) -> bool:
    """Whether ``post``, standing in its thread, shows its text to ``user``."""
    return user.is_staff or not post.is_deleted


def is_folded(post, topic) -> bool:
    """Whether ``post`` shows its words only on demand: it tells more of the book than its debate says."""
    return post.spoiler_percent > topic.spoiler_percent


def excerpt_allowed(topic) -> bool:
    """Whether the opening may be quoted outside its page (lists, search, meta description)."""
    return not topic.is_deleted and topic.spoiler_percent == 0
