"""Rows with boring, valid values; a test states only what it is about."""

from __future__ import annotations

from itertools import count

from django.core.cache import caches

from accounts.models import User
from core.models import Author, Book, BookAuthor, Category
from core.services import sync_byline
from debates import services
from debates.models import DebatePost, DebateTopic

PASSWORD = "uma-senha-de-teste"
_number = count(1)


def forget_limits() -> None:
    """Start the rate limits anew, in a test that asks more often than a person."""
    caches["ratelimit"].clear()


def make_user(**values) -> User:
    n = next(_number)
    values = {"username": f"leitor{n}", "email": f"leitor{n}@example.com", **values}
    password = values.pop("password", None)
    user = User(**values)
    user.set_password(password) if password else user.set_unusable_password()
    user.save()
    return user


def make_staff(**values) -> User:
    return make_user(**{"is_staff": True, "is_superuser": True, **values})


def make_author(**values) -> Author:
    n = next(_number)
    return Author.objects.create(**{"name": f"Autora {n}", "slug": f"autora-{n}", **values})


def make_category(**values) -> Category:
    n = next(_number)
    return Category.objects.create(**{"name": f"Categoria {n}", "slug": f"categoria-{n}", **values})


def make_book(*, authors: list[Author] | None = None, **values) -> Book:
    n = next(_number)
    book = Book.objects.create(**{"title": f"Livro {n}", "slug": f"livro-{n}", **values})
    for position, author in enumerate(authors if authors is not None else [make_author()]):
        BookAuthor.objects.create(book=book, author=author, position=position)
    sync_byline([book.pk])
    book.refresh_from_db()
    return book


def make_topic(**values) -> DebateTopic:
    n = next(_number)
    flags = {name: values.pop(name) for name in ("is_pinned", "is_locked") if name in values}
    topic = services.create_topic(
        **{
            "creator": values.pop("creator", None) or make_user(),
            "book": values.pop("book", None) or make_book(),
            "title": f"Debate {n}",
            "description": "Uma abertura.",
            **values,
        }
    )
    if flags:
        DebateTopic.objects.filter(pk=topic.pk).update(**flags)
        topic.refresh_from_db()
    return topic


def make_post(topic: DebateTopic | None = None, **values) -> DebatePost:
    return services.create_post(
        **{
            "topic": topic or make_topic(),
            "author": values.pop("author", None) or make_user(),
            "content": "Uma resposta.",
            **values,
        }
    )
