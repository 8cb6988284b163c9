"""A small site whose every list can be made longer."""

from __future__ import annotations

from datetime import date, timedelta

from accounts.models import BookReview, ShelfItem, User
from accounts.services import record_progress, shelve_book, write_review
from core import mail
from core.models import Author, Book, BookAuthor, Category
from core.text import fold
from debates.models import DebateTopic, DebateVote, DriftReport, Follow, Notification, WeeklyReport

from .factories import (
    make_author,
    make_book,
    make_category,
    make_post,
    make_staff,
    make_topic,
    make_user,
)

MONDAY = date(2026, 11, 16)


class World:
    """One reader who did everything on one book, and ``rows`` of everything around it."""

    def __init__(self, rows: int):
        self.reader = make_user(username="leitora.do.mundo", password=None)
        self.author, self.category = make_author(), make_category()
        self.book = make_book(title="Livro do mundo", language="pt", authors=[self.author])
        self.book.categories.add(self.category)
        self.topic = make_topic(creator=self.reader, book=self.book, title="Debate do mundo")
        self.post = make_post(self.topic, author=self.reader)
        shelve_book(user=self.reader, book=self.book, status=ShelfItem.Status.READING)
        record_progress(user=self.reader, book=self.book, percent=30)
        write_review(user=self.reader, book=self.book, rating=9, text="Boa.", has_spoiler=False)
        self.rows = 0
        self.grow(rows)

    def grow(self, rows: int) -> None:
        """Add rows to every list until each has ``rows``."""
        start, self.rows = self.rows, rows
        people = User.objects.bulk_create(
            User(username=f"gente{n}", email=f"gente{n}@example.com", password="!")
            for n in range(start, rows)
        )
        books = Book.objects.bulk_create(
            Book(
                title=f"Livro {n}", slug=f"livro-mundo-{n}", byline=f"Autor {n}", language="pt",
                folded_title=f"livro {n}", search_text=f"livro {n} autor {n}", ratings_count=n,
            )
            for n in range(start, rows)
        )  # fmt: skip
        BookAuthor.objects.bulk_create(BookAuthor(book=book, author=self.author) for book in books)
        Author.objects.bulk_create(
            Author(
                name=f"Livro, de nome {n}", slug=f"a-{n}", folded_name=fold(f"livro de nome {n}")
            )
            for n in range(start, rows)
        )
        Category.objects.bulk_create(
            Category(name=f"Assunto {n}", slug=f"assunto-{n}") for n in range(start, min(rows, 30))
        )
        self.category.books.add(*books)
        ShelfItem.objects.bulk_create(
            ShelfItem(user=self.reader, book=book, status="lido") for book in books
        )
        BookReview.objects.bulk_create(
            [
                BookReview(user=self.reader, book=book, rating=8, text_html="<p>Boa.</p>")
                for book in books
            ]
            + [BookReview(user=user, book=self.book, rating=7) for user in people]
        )
        for n, user in enumerate(people, start=start):
            topic = make_topic(creator=self.reader, book=self.book, title=f"Debate {n}")
            make_post(topic, author=user)
            parent = self.post if n % 3 else None
            post = make_post(self.topic, author=user, parent=parent)
            make_post(topic, author=self.reader)
            DebateVote.objects.create(post=post, user=self.reader, value=1)
            Notification.objects.create(
                user=self.reader, topic=self.topic, post=post, reason="debate"
            )
            Follow.objects.create(user=user, book=self.book, state="segue")
            mail.post(to=user.email, subject="Notícias do mundo", text="Uma.")
        weeks = [MONDAY - n * timedelta(weeks=1) for n in range(start, rows)]
        WeeklyReport.objects.bulk_create(
            WeeklyReport(week=week, new_members=1, new_topics=1, new_posts=1, unanswered_topics=1)
            for week in weeks
        )
        DriftReport.objects.bulk_create(DriftReport(night=week) for week in weeks)
        User.objects.filter(pk=self.reader.pk).update(unread_count=rows)

    def path(self, template: str) -> str:
        return template.format(
            book=self.book.slug,
            topic=self.topic.slug,
            post=self.post.pk,
            author=self.author.slug,
            category=self.category.slug,
            reader=self.reader.username,
        )

    def hide_topic(self) -> DebateTopic:
        """Return a debate that staff took away."""
        from debates.services import delete_topic

        topic = make_topic(book=self.book)
        delete_topic(topic=topic, actor=make_staff())
        topic.refresh_from_db()
        return topic
