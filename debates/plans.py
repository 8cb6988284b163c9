"""How Postgres answers the public pages: their statements and the plan of each.

For ``explain_pages`` and for the test of plans. A page is asked for its heaviest rows (the
longest debate, the busiest reader), for its lightest ones, where a planner that hopes to meet
many soon reads everything, and for a place deep in its list.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.db import connection, transaction
from django.db.models import Count, QuerySet
from django.test import Client, override_settings

from accounts.models import BookReview, ShelfItem, User
from core.database import without_statement_timeout
from core.models import Author, Book, BookAuthor, Category
from core.paging import after
from core.querysets import BookQuerySet

from .models import DebatePost, DebateTopic, DebateVote, Follow, Notification
from .querysets import NotificationQuerySet, PostQuerySet, TopicQuerySet

# A scan of these grows with the site: a fault, unless the table is small enough to be read whole.
MUST_NOT_SCAN = {
    model._meta.db_table for model in (DebatePost, DebateTopic, DebateVote, Follow, Notification)
}
WORTH_TELLING = MUST_NOT_SCAN | {model._meta.db_table for model in (Book, User)}
SMALL_TABLE_PAGES = 64  # half a megabyte: Postgres reads that sooner than an index and then rows

# name -> path, with the names of ``subjects()`` in braces
PAGES = {
    "home": "/",
    "debates_list": "/debates/",
    "debates_list_page_2": "/debates/?pagina=2",
    "debates_list_page_10": "/debates/?pagina=10",
    "debates_list_deep": "/debates/{topics_deep}",
    "debates_list_of_book": "/debates/?livro={book}",
    "debates_list_of_quiet_book": "/debates/?livro={quiet_book}",
    "debates_list_of_book_deep": "/debates/{book_topics_deep}&livro={book}",
    "topic_detail": "/debates/topico/{topic}/",
    "topic_detail_short": "/debates/topico/{short_topic}/",
    "topic_detail_page_2": "/debates/topico/{topic}/?pagina=2",
    "topic_detail_page_10": "/debates/topico/{topic}/?pagina=10",
    "topic_detail_deep": "/debates/topico/{topic}/{posts_deep}",
    "post_permalink": "/debates/post/{post}/",
    "post_permalink_deep": "/debates/post/{post_deep}/",
    "book_list": "/livros/",
    "book_list_by_title": "/livros/?ordem=titulo",
    "book_list_newest": "/livros/?ordem=novidades",
    "book_list_of_language": "/livros/?lingua=pt",
    "book_list_filtered": "/livros/?categoria={category}&lingua=pt&ordem=titulo",
    "book_list_deep": "/livros/{books_deep}",
    "book_detail": "/livros/{book}/",
    "book_detail_quiet": "/livros/{quiet_book}/",
    "book_detail_deep": "/livros/{reviewed}/{reviews_deep}",
    "author_detail": "/autores/{author}/",
    "category_detail": "/categorias/{category}/",
    "search": "/busca/?q={word}",
    "search_books": "/busca/?q={word}&tipo=livros",
    "search_authors": "/busca/?q={name}&tipo=autores",
    "search_debates": "/busca/?q={word}&tipo=debates",
    "search_rare": "/busca/?q=xilogravura",
    "search_short": "/busca/?q=it",
    "profile": "/leitores/{reader}/",
    "profile_shelf_deep": "/leitores/{collector}/{shelf_deep}",
    "profile_reviews": "/leitores/{reader}/?aba=resenhas",
    "profile_topics": "/leitores/{reader}/?aba=debates",
    "profile_posts": "/leitores/{reader}/?aba=respostas",
    "profile_quiet": "/leitores/{quiet_reader}/?aba=respostas",
    "profile_posts_deep": "/leitores/{reader}/{reader_posts_deep}&aba=respostas",
    "notifications": "/conta/avisos/",
    "notifications_deep": "/conta/avisos/{notices_deep}",
}
FOR_MEMBERS = {"notifications", "notifications_deep"}


@dataclass(frozen=True)
class Statement:
    """One SELECT as a page sent it."""

    sql: str
    params: tuple
    milliseconds: float  # as this process saw it
    rows: int


@dataclass(frozen=True)
class Plan:
    statement: Statement
    lines: list[str]

    @property
    def indexes(self) -> list[str]:
        """Names of the indexes that the plan reads, each once, from the top."""
        return self._found(r"Index (?:Only )?Scan (?:Backward )?(?:using|on) (\w+)")

    @property
    def scanned(self) -> list[str]:
        """Tables that the plan reads from end to end."""
        return self._found(r"Seq Scan on (\w+)")

    def _found(self, node: str) -> list[str]:
        pattern = re.compile(rf"\s*(?:->\s+)?(?:Parallel )?(?:Bitmap )?{node}")
        return list(dict.fromkeys(m[1] for line in self.lines if (m := pattern.match(line))))


@dataclass(frozen=True)
class PagePlans:
    name: str
    path: str
    viewer: str  # "anonymous" or "member"
    plans: list[Plan]


def explain(*, only: str = "", analyze: bool = False) -> Iterator[PagePlans]:
    """Yield the plans of each public page, as a visitor sees it and as the keenest voter does.

    ``only`` is one page's name; ``analyze`` runs each statement once more and shows what it
    read. Everything happens in one transaction that can only read and is rolled back; caches
    are neither read nor filled, and no limit is counted. What this site has no rows for is left
    out. Choosing the rows reads whole tables: seconds at millions of rows.
    """
    with _read_only(), _bypassing_caches():
        found, member = subjects(), keenest_voter()
        for name, template in PAGES.items():
            if only not in {"", name} or not set(re.findall(r"{(\w+)}", template)) <= found.keys():
                continue
            path = template.format(**found)
            for viewer, user in (("anonymous", None), ("member", member)):
                if user is None and (viewer == "member" or name in FOR_MEMBERS):
                    continue
                try:
                    sent = statements(path, user)
                except LookupError:
                    continue
                yield PagePlans(name, path, viewer, [_plan(one, analyze) for one in sent])


def statements(path: str, user: User | None) -> list[Statement]:
    """Return what a GET of ``path`` by ``user`` (``None``: a visitor) asks the database.

    Raises ``LookupError`` when the site has no such page: the tenth of a short list.
    """
    sent: list[Statement] = []

    def record(execute, sql, params, many, context):
        began = perf_counter()
        result = execute(sql, params, many, context)
        took = (perf_counter() - began) * 1000
        if sql.lstrip("( ").startswith("SELECT"):
            sent.append(Statement(sql, tuple(params or ()), took, context["cursor"].rowcount))
        return result

    client = Client(SERVER_NAME="localhost")
    if user:
        client.cookies[settings.SESSION_COOKIE_NAME] = _session_of(user)
    with connection.execute_wrapper(record):
        response = client.get(path, secure=settings.HTTPS)
    if response.status_code == 404:
        raise LookupError(f"there is no {path}")
    if response.status_code not in {200, 302}:
        raise RuntimeError(f"{path} answered {response.status_code}")
    return sent


def is_small(table: str) -> bool:
    """Whether reading all of ``table`` costs no more than an index. One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_relation_size(%s::regclass) / current_setting('block_size')::int", [table]
        )
        return cursor.fetchone()[0] <= SMALL_TABLE_PAGES


def _plan(statement: Statement, analyze: bool) -> Plan:
    options = "ANALYZE, BUFFERS" if analyze else "ANALYZE FALSE"
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN ({options}) {statement.sql}", statement.params)
        return Plan(statement, [line for (line,) in cursor.fetchall()])


@contextmanager
def _read_only() -> Iterator[None]:
    with without_statement_timeout():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
        yield
        transaction.set_rollback(True)


@contextmanager
def _bypassing_caches() -> Iterator[None]:
    """Build every page anew, count and log nobody, keep the member's session in a cookie alone."""
    requests = logging.getLogger("core.requests")
    level = requests.level
    requests.setLevel(logging.WARNING)
    try:
        with override_settings(
            PAGE_CACHE=False,
            RATELIMIT_ENABLE=False,
            SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        ):
            yield
    finally:
        requests.setLevel(level)


def _session_of(user: User) -> str:
    """The cookie of a log-in of ``user`` that no row and no cache knows."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return str(session.session_key)


# --- the heaviest rows -------------------------------------------------------------


def keenest_voter() -> User | None:
    """Who voted most: the member whose marks a page looks for among the most rows."""
    return _most(DebateVote.objects.filter(user__is_active=True), "user", User)


def subjects() -> dict[str, str]:
    """Return the values of ``PAGES``' names; those that this site has rows for."""
    found = {**_debate(), **_catalogue(), **_reader(), **_member()}
    return {name: value for name, value in found.items() if value}


def _debate() -> dict[str, str]:
    topics = DebateTopic.objects.published()
    longest, shortest = (
        topics.order_by("-posts_count").first(),
        topics.order_by("posts_count").first(),
    )
    if longest is None or shortest is None:
        return {}
    posts = DebatePost.objects.filter(topic=longest).in_thread(AnonymousUser())
    first = posts.order_by(*PostQuerySet.THREAD).first()
    middle = _middle(posts, PostQuerySet.THREAD)
    book, quiet_book = _most(topics, "book", Book), _most(topics, "book", Book, least=True)
    return {
        "topic": longest.slug,
        "short_topic": shortest.slug,
        "topics_deep": _deep(topics, TopicQuerySet.ACTIVE_FIRST),
        "posts_deep": _deep(posts, PostQuerySet.THREAD),
        "post": str(first.pk) if first else "",
        "post_deep": str(middle.pk) if middle else "",
        "book": book.slug,
        "quiet_book": quiet_book.slug,
        "book_topics_deep": _deep(topics.filter(book=book), TopicQuerySet.ACTIVE_FIRST),
        "word": next((word for word in longest.folded_title.split() if len(word) > 3), ""),
    }


def _catalogue() -> dict[str, str]:
    author = _most(BookAuthor.objects.all(), "author", Author)
    category = _most(Book.categories.through.objects.all(), "category", Category)
    reviewed = _most(BookReview.objects.all(), "book", Book)
    reviews = BookReview.objects.filter(book=reviewed)
    return {
        "books_deep": _deep(Book.objects.all(), BookQuerySet.POPULAR),
        "author": author.slug if author else "",
        "name": author.folded_name.split()[0] if author else "",
        "category": category.slug if category else "",
        "reviewed": reviewed.slug if reviewed else "",
        "reviews_deep": _deep(reviews, ("-created_at", "-id")),
    }


def _reader() -> dict[str, str]:
    written = DebatePost.objects.published().filter(author__is_active=True)
    reader, quiet = _most(written, "author", User), _most(written, "author", User, least=True)
    collector = _most(ShelfItem.objects.filter(user__is_active=True), "user", User)
    return {
        "reader": reader.username if reader else "",
        "quiet_reader": quiet.username if quiet else "",
        "reader_posts_deep": _deep(written.filter(author=reader), PostQuerySet.NEWEST),
        "collector": collector.username if collector else "",
        "shelf_deep": _deep(ShelfItem.objects.filter(user=collector), ("-updated_at", "-id")),
    }


def _member() -> dict[str, str]:
    rows = Notification.objects.filter(user=keenest_voter())
    return {"notices_deep": _deep(rows, NotificationQuerySet.NEWEST)}


def _most(rows: QuerySet, column: str, model, *, least: bool = False):
    """The row of ``model`` that most (or fewest) of ``rows`` name in ``column``; ``None`` without any."""
    counted = rows.order_by().values(column).annotate(n=Count("pk"))
    first = counted.order_by("n" if least else "-n", column).first()
    return first and model.objects.get(pk=first[column])


def _middle(rows: QuerySet, order: tuple[str, ...]):
    """The row halfway down the list; ``None`` when it is empty."""
    return rows.order_by(*order)[rows.count() // 2 :].first()


def _deep(rows: QuerySet, order: tuple[str, ...]) -> str:
    """The query string of the page that begins halfway down; ``""`` when the list is empty."""
    middle = _middle(rows, order)
    return after(middle, order) if middle else ""
