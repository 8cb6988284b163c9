"""Words of readers never become markup: every page that shows them, every field that takes them."""

from __future__ import annotations

from django.test import TestCase

from accounts.models import ShelfItem
from accounts.services import shelve_book, write_review
from core.services import sync_byline

from .factories import (
    make_author,
    make_book,
    make_category,
    make_post,
    make_staff,
    make_topic,
    make_user,
)

ATTACK = '"><script>alert(1)</script><img src=x onerror=alert(2)>'


class EscapingTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.reader = make_user(display_name=ATTACK, city=ATTACK, bio=ATTACK)
        author = make_author(name=ATTACK, slug="autor")
        cls.category = make_category(name=ATTACK, slug="categoria")
        cls.book = make_book(
            title=ATTACK, original_title=f"{ATTACK} 2", series=ATTACK, description=ATTACK,
            slug="livro", authors=[author],
        )  # fmt: skip
        cls.book.categories.add(cls.category)
        sync_byline([cls.book.pk])
        cls.topic = make_topic(creator=cls.reader, book=cls.book, title=ATTACK, description=ATTACK)
        cls.post = make_post(cls.topic, author=cls.reader, content=ATTACK)
        make_post(cls.topic, parent=cls.post, content=ATTACK)
        write_review(user=cls.reader, book=cls.book, rating=8, text=ATTACK, has_spoiler=False)
        shelve_book(user=cls.reader, book=cls.book, status=ShelfItem.Status.READ)

    def test_no_page_carries_the_markup(self):
        topic, post = self.topic.get_absolute_url(), self.post.get_absolute_url()
        profile = self.reader.get_absolute_url()
        pages = (
            "/", "/debates/", f"/debates/?livro={self.book.slug}", topic, f"{topic}responder/",
            f"{topic}responder/?parent={self.post.pk}", f"{topic}editar/", f"{topic}apagar/",
            f"{post}editar/", f"{post}apagar/", "/livros/", "/livros/livro/", "/autores/autor/",
            "/livros/livro/resenha/", "/livros/livro/resenha/apagar/", "/livros/livro/progresso/",
            "/categorias/categoria/", "/debates/novo/?livro=livro", "/debates/novo/?q=script",
            profile, f"{profile}?aba=resenhas", f"{profile}?aba=debates",
            f"{profile}?aba=respostas", "/conta/",
        )  # fmt: skip
        for user in (None, self.reader, make_staff()):
            if user:
                self.client.force_login(user)
            for path in pages:
                with self.subTest(path=path, user=str(user)[:5]):
                    html = self.client.get(path, follow=True).content.decode()
                    assert "<script>alert" not in html
                    assert "<img src=x" not in html

    def test_what_is_asked_for_is_not_echoed_as_markup(self):
        for path in ("/busca/", "/debates/novo/", "/livros/", "/conta/entrar/", "/nada/"):
            self.client.force_login(self.reader)
            html = self.client.get(
                path, {"q": ATTACK, "de": ATTACK, "next": ATTACK}
            ).content.decode()
            assert "<script>alert" not in html
            assert "<img src=x" not in html
