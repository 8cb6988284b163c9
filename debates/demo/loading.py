"""Load the demo content: books, readers, debates, reviews. All or nothing, once.

The words go through the same services as a reader's; only the dates are moved into the
past afterwards and the counters recounted from the rows.
"""

from __future__ import annotations

import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.utils import timezone

from accounts.models import BookReview, ShelfItem, User
from accounts.services import shelve_book, write_review
from core.models import Author, Book, BookAuthor, Category
from core.services import sync_byline
from core.text import create_with_slug, slug_base
from debates import notifying, services
from debates.models import DebatePost, DebateTopic, DebateVote, Follow

HERE = Path(__file__).parent
NOTIFIED_TOPICS, NOTIFIED_POSTS = 2, 3  # so that the bell of the demo's reader rings
PASSWORD = "leitura-boa-2026"  # noqa: S105  printed by dev.py up; load_demo refuses a public site


class Login(NamedTuple):
    role: str
    username: str
    display_name: str
    is_staff: bool


LOGINS = [
    Login("leitora", "leitora", "Marina Leitora", False),
    Login("equipe", "bibliotecaria", "Dora, a bibliotecária", True),
]


class Loaded(NamedTuple):
    """How much was loaded."""

    books: int
    readers: int
    topics: int
    posts: int
    votes: int
    reviews: int


def is_loaded() -> bool:
    """Whether the demo, or anybody's debate, is already there. Two queries."""
    return User.objects.filter(username=LOGINS[0].username).exists() or (
        DebateTopic.objects.exists()
    )


@transaction.atomic
def load() -> Loaded:
    """Load everything; raises on the first thing that does not fit, and then nothing stays."""
    now = timezone.now()
    books = _load_books(_read("books.toml")["book"])
    readers = _load_readers(_read("readers.toml")["reader"])
    posts = votes = 0
    topics = sorted(HERE.glob("[0-9]*.toml"))
    for file in topics:
        new_posts, new_votes = _load_topic(tomllib.loads(file.read_text()), books, readers, now)
        posts, votes = posts + new_posts, votes + new_votes
    reviews = _load_reviews(_read("reviews.toml")["review"], books, readers, now)
    _notify(readers[LOGINS[0].username], now)
    return Loaded(len(books), len(readers), len(topics), posts, votes, reviews)


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((HERE / name).read_text())


def _load_books(entries: list[dict[str, Any]]) -> dict[str, Book]:
    categories = {name for entry in entries for name in entry["categories"]}
    by_name = {
        name: Category.objects.get_or_create(
            name=name, defaults={"slug": slug_base(name, fallback="categoria")}
        )[0]
        for name in sorted(categories)
    }
    authors: dict[str, Author] = {}
    books = {}
    for entry in entries:
        columns = {k: v for k, v in entry.items() if k not in {"authors", "categories"}}
        books[entry["title"]] = book = create_with_slug(
            entry["title"],
            fallback="livro",
            create=lambda slug, columns=columns: Book.objects.create(slug=slug, **columns),
        )
        for position, name in enumerate(entry["authors"]):
            if name not in authors:
                authors[name] = create_with_slug(
                    name,
                    fallback="autor",
                    create=lambda slug, name=name: Author.objects.create(slug=slug, name=name),
                )
            BookAuthor.objects.create(book=book, author=authors[name], position=position)
        book.categories.set(by_name[name] for name in entry["categories"])
    sync_byline([book.pk for book in books.values()])
    return books


def _load_readers(entries: list[dict[str, Any]]) -> dict[str, User]:
    known, unusable = make_password(PASSWORD), make_password(None)
    users = [User(password=unusable, **entry) for entry in entries]
    users += [
        User(
            username=login.username,
            display_name=login.display_name,
            password=known,
            is_staff=login.is_staff,
            is_superuser=login.is_staff,
        )
        for login in LOGINS
    ]
    for user in users:
        user.email = f"{user.username}@example.com"
    return {user.username: user for user in User.objects.bulk_create(users)}


def _load_topic(
    entry: dict[str, Any], books: dict[str, Book], readers: dict[str, User], now
) -> tuple[int, int]:
    """Load one debate; return how many posts and votes it brought."""
    book, opened = books[entry["book"]], now - timedelta(days=entry["days_ago"])
    topic = services.create_topic(
        creator=readers[entry["by"]],
        book=book,
        title=entry["title"],
        description=entry["description"].strip(),
        spoiler_percent=entry.get("spoiler_percent", 0),
    )
    DebateTopic.objects.filter(pk=topic.pk).update(created_at=opened)
    posts: dict[str, DebatePost] = {}
    votes = 0
    for item in sorted(entry["post"], key=lambda item: item["hours_after"]):
        author, written = readers[item["by"]], opened + timedelta(hours=item["hours_after"])
        post = services.create_post(
            topic=topic,
            author=author,
            content=item["text"].strip(),
            parent=posts[item["reply_to"]] if "reply_to" in item else None,
            spoiler_percent=item.get("spoiler_percent", 0),
        )
        posts[item["id"]] = post
        DebatePost.objects.filter(pk=post.pk).update(created_at=written)
        votes += _load_votes(post, item, readers)
        ShelfItem.objects.get_or_create(
            user=author,
            book=book,
            defaults={
                "status": ShelfItem.Status.READ,
                "created_at": written,
                "updated_at": written,
            },
        )
    for item in entry["post"]:
        if item.get("deleted"):
            services.delete_post(post=posts[item["id"]], actor=readers[item["by"]])
    services.sync_topic(topic.pk)
    _moderate(topic, entry, readers[LOGINS[1].username])
    return len(posts), votes


def _notify(reader: User, now) -> None:
    """Tell ``reader`` (and whom they answer) of the newest replies in two debates, nobody of the rest."""
    topics = list(DebateTopic.objects.published().order_by("-updated_at")[:NOTIFIED_TOPICS])
    Follow.objects.filter(user=reader).delete()
    Follow.objects.bulk_create(
        Follow(user=reader, topic=topic, state=Follow.State.FOLLOW, created_at=topic.created_at)
        for topic in topics
    )
    others = Follow.objects.exclude(user=reader)
    others.update(created_at=now)  # they hear of what comes
    for topic in topics:
        newest = DebatePost.objects.published().filter(topic=topic).order_by("-created_at")
        for post in reversed(newest[:NOTIFIED_POSTS]):
            notifying.settle(DebatePost, post.pk)
    for model in (DebateTopic, DebatePost):
        model.objects.filter(notified_at=None).update(notified_at=now)


def _load_votes(post: DebatePost, item: dict[str, Any], readers: dict[str, User]) -> int:
    votes = [
        DebateVote(post=post, user=readers[name], value=value)
        for value, names in ((1, item.get("up", [])), (-1, item.get("down", [])))
        for name in names
    ]
    return len(DebateVote.objects.bulk_create(votes))


def _moderate(topic: DebateTopic, entry: dict[str, Any], staff: User) -> None:
    for flag, action in (("pinned", "pin"), ("locked", "lock"), ("deleted", "hide")):
        if entry.get(flag):
            services.moderate_topic(topic=topic, actor=staff, action=action)


def _load_reviews(
    entries: list[dict[str, Any]], books: dict[str, Book], readers: dict[str, User], now
) -> int:
    for entry in entries:
        user, book = readers[entry["by"]], books[entry["book"]]
        review = write_review(
            user=user,
            book=book,
            rating=round(entry["stars"] * 2),
            text=entry.get("text", "").strip(),
            has_spoiler=entry.get("has_spoiler", False),
        )
        written = now - timedelta(days=entry["days_ago"])
        BookReview.objects.filter(pk=review.pk).update(created_at=written)
        shelve_book(user=user, book=book, status=ShelfItem.Status.READ)
    return len(entries)
