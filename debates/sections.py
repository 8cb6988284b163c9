"""What debates put on the pages of the floors below."""

from __future__ import annotations

from accounts.cache import PEOPLE
from core.sections import section, section_marks

from . import following
from .cache import TOPICS, newest_topics
from .marks import follow_marks
from .models import DebatePost, DebateTopic
from .querysets import PostQuerySet, TopicQuerySet

HOME_TOPICS = 10
BOOK_TOPICS = 5


@section("home", TOPICS, PEOPLE)
def home_topics(request):
    """What is being debated. One query, none while the list is kept."""
    return {"topics": newest_topics()[:HOME_TOPICS]}


@section("book_detail", PEOPLE)
def book_topics(request, *, book):
    """The liveliest debates on a book, and whether there are more. One query."""
    topics = DebateTopic.objects.published().filter(book=book).for_list()
    found = list(topics.order_by(*TopicQuerySet.ACTIVE_FIRST)[: BOOK_TOPICS + 1])
    return {"topics": found[:BOOK_TOPICS], "has_more_topics": len(found) > BOOK_TOPICS}


@section("book_detail")
def book_follow(request, *, book):
    """Whether the reader follows or mutes the book. One query for a member, none for others."""
    return {"follow_state": following.state_of_book(request.user, book.pk)}


@section_marks("book_detail")
def book_follow_marks(request, note, csrf_token):
    """The same on the kept page. One query."""
    return follow_marks(following.state_of_book(request.user, note["book"]["id"]))


@section("search")
def search_topics(request, *, query):
    """Debates whose title holds every word; the page runs the query."""
    topics = DebateTopic.objects.published().matching(query).for_list()
    return {"debates": (topics, TopicQuerySet.NEWEST)}


@section("profile")
def reader_topics_and_posts(request, *, reader):
    """A reader's debates and replies; the page runs the query of the tab that is open."""
    topics = DebateTopic.objects.published().filter(creator=reader).for_list()
    posts = (
        DebatePost.objects.published()
        .filter(author=reader)
        .select_related("topic", "author")
        .defer("content", "topic__description", "topic__description_html")
    )
    return {
        "debates": (topics, TopicQuerySet.NEWEST),
        "respostas": (posts, PostQuerySet.NEWEST),
    }
