"""Bad input gets a 4xx or a form with a sentence and the words kept; never a 500."""

from __future__ import annotations

import pytest
from django.test import TestCase

from accounts.models import BookReview, User
from debates.models import DebatePost, DebateTopic
from debates.services import delete_topic

from .factories import (
    PASSWORD,
    forget_limits,
    make_book,
    make_post,
    make_staff,
    make_topic,
    make_user,
)

NUL = "a\x00b"
HUGE = "9" * 40


class HostileAddressTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.topic = make_topic(title="Um debate")
        cls.post = make_post(cls.topic)

    def test_addresses_that_name_nothing_are_404(self):
        for path in (
            f"/debates/post/{HUGE}/", "/debates/post/0/", "/debates/post/-1/", "/debates/post/x/",
            "/debates/topico/nada/", "/debates/topico/%00/", "/livros/%00/", "/livros/nada/",
            "/autores/nada/", "/categorias/nada/", "/leitores/ninguem/", "/leitores/%00/",
            "/leitores/a%20b/", "/idioma/xx/", "/idioma/%00/", "/nada/",
        ):  # fmt: skip
            with self.subTest(path=path):
                assert self.client.get(path).status_code == 404

    def test_wrong_parameters_are_4xx(self):
        for path in (
            "/debates/?pagina=abc", "/debates/?pagina=0", "/debates/?pagina=999999999999999999999",
            "/debates/?depois=!!!", "/debates/?livro=nada", "/debates/?livro=%00",
            "/livros/?de=abc", "/livros/?de=99999999999999999999", "/livros/?categoria=nada",
            "/livros/?categoria=%00", "/livros/?lingua=xx", "/livros/?ordem=x",
            "/livros/?de=2000&ate=1900", "/busca/?q=%00", "/busca/?q=" + "a" * 101,
            "/busca/?tipo=x", "/busca/?q=livro&tipo=livros&pagina=x",
            f"/debates/topico/{self.topic.slug}/?pagina=99", f"/leitores/{self.topic.creator.username}/?aba=x",
            f"/leitores/{self.topic.creator.username}/?pagina=-5",
        ):  # fmt: skip
            with self.subTest(path=path):
                assert self.client.get(path).status_code in {400, 404}

    def test_search_takes_anything_that_people_type(self):
        for query in ("%", "_", "\\", "'", "it", "!!!", "😀", "שלום", "a" * 100, "1984", "ã"):
            with self.subTest(query=query):
                assert self.client.get("/busca/", {"q": query}).status_code == 200

    def test_odd_cookies_and_headers(self):
        for name, value in (
            ("sessionid", NUL),
            ("sessionid", "x" * 5000),
            ("django_language", NUL),
        ):
            self.client.cookies[name] = value
        assert self.client.get("/debates/", headers={"Accept-Language": NUL}).status_code == 200

    def test_unencodable_bytes_in_a_query(self):
        assert self.client.get("/busca/?q=%ff%fe").status_code in {200, 400}
        assert self.client.get("/debates/?livro=%ff").status_code in {400, 404}


class HostileWritingTests(TestCase):
    def setUp(self):
        self.user = make_user()
        self.book = make_book()
        self.topic = make_topic(book=self.book)
        self.client.force_login(self.user)

    def open_topic(self, **values):
        forget_limits()
        data = {"livro": self.book.slug, "description": "Texto.", "spoiler_percent": 0, **values}
        return self.client.post("/debates/novo/", data)

    def test_titles_of_any_script_get_an_address_of_their_own(self):
        titles = [
            "!!!",
            "😀😀",
            "ã" * 200,
            "שלום עולם",
            "Был ли мальчик?",
            "Igual",
            "Igual",
            "--",
            "novo",
        ]
        for title in titles:
            with self.subTest(title=title):
                response = self.open_topic(title=title)
                assert response.status_code == 302
                assert self.client.get(response.url).status_code == 200
        slugs = set(DebateTopic.objects.filter(title__in=titles).values_list("slug", flat=True))
        assert len(slugs) == len(titles)
        assert all(slugs)
        assert self.client.get("/debates/").status_code == 200

    def test_refused_debates_keep_what_was_typed(self):
        for values in (
            {"title": NUL}, {"title": ""}, {"title": "   "}, {"title": "x" * 201},
            {"title": "\u200b"}, {"title": "Bom", "description": "\u2060"},
            {"title": "Bom", "description": NUL}, {"title": "Bom", "description": "x" * 10_001},
            {"title": "Bom", "spoiler_percent": 101}, {"title": "Bom", "spoiler_percent": "x"},
            {"title": "Bom", "spoiler_percent": HUGE}, {"title": "Bom", "livro": "nada"},
            {"title": "Bom", "livro": NUL},
        ):  # fmt: skip
            with self.subTest(values={k: str(v)[:20] for k, v in values.items()}):
                before = DebateTopic.objects.count()
                response = self.open_topic(**{"description": "O que eu escrevi", **values})
                assert response.status_code == 422
                assert DebateTopic.objects.count() == before
                if "description" not in values:
                    self.assertContains(response, "O que eu escrevi", status_code=422)

    def test_refused_replies_keep_what_was_typed(self):
        path = f"/debates/topico/{self.topic.slug}/responder/"
        stranger = make_post()
        for content, parent in (
            ("Palavras boas " * 800, ""), (f"Palavras boas {NUL}", ""), ("", ""),
            ("\u200b\u202e", ""), ("[x]: http://a.example", ""), ("---", ""),
            ("Palavras boas", "abc"), ("Palavras boas", HUGE), ("Palavras boas", NUL),
            ("Palavras boas", "²"), ("Palavras boas", stranger.pk),
        ):  # fmt: skip
            with self.subTest(content=content[:10], parent=str(parent)[:10]):
                data = {"content": content, "parent": parent, "spoiler_percent": 0}
                response = self.client.post(path, data)
                assert response.status_code == 422
                if "Palavras" in content:
                    self.assertContains(response, "Palavras boas", status_code=422)
        assert not self.topic.posts.exists()

    def test_a_page_that_went_away_while_somebody_wrote_gives_the_words_back(self):
        own = make_post(self.topic, author=self.user)
        delete_topic(topic=self.topic, actor=make_staff())
        for path in (
            f"/debates/topico/{self.topic.slug}/responder/", f"/debates/post/{own.pk}/editar/",
            "/debates/topico/nunca-existiu/responder/",
        ):  # fmt: skip
            with self.subTest(path=path):
                response = self.client.post(path, {"content": "Uma hora de trabalho"})
                self.assertContains(response, "Uma hora de trabalho", status_code=404)

    def test_somebody_logged_out_meanwhile_keeps_the_draft(self):
        self.client.logout()
        path = f"/debates/topico/{self.topic.slug}/responder/"
        response = self.client.post(
            path, {"content": "Três horas de trabalho", "spoiler_percent": 0}
        )
        self.assertContains(response, "Três horas de trabalho", status_code=403)
        response = self.open_topic(title="Título pensado", description="Abertura pensada")
        self.assertContains(response, "Abertura pensada", status_code=403)
        own = make_post(self.topic, author=self.user)
        for path, field in (
            (f"/debates/post/{own.pk}/editar/", "content"),
            (f"/debates/topico/{self.topic.slug}/editar/", "description"),
            (f"/livros/{self.book.slug}/resenha/", "text"),
        ):
            response = self.client.post(path, {field: "Mais palavras pensadas"})
            self.assertContains(response, "Mais palavras pensadas", status_code=403)
            self.assertContains(response, "/conta/entrar/?next=", status_code=403)
        DebatePost.objects.all().delete()
        assert not DebatePost.objects.exists()

    def test_a_form_that_is_too_old_shows_the_draft(self):
        client = self.client_class(enforce_csrf_checks=True)
        client.force_login(self.user)
        path = f"/debates/topico/{self.topic.slug}/responder/"
        response = client.post(path, {"content": "Palavras que não se perdem"})
        self.assertContains(response, "Palavras que não se perdem", status_code=403)
        login = client.post("/conta/entrar/", {"username": "x", "text": "segredo-digitado"})
        self.assertNotContains(login, "segredo-digitado", status_code=403)

    def test_wrong_votes_shelves_and_actions_are_400(self):
        post = make_post(self.topic)
        for value in ("2", "", "x", NUL, HUGE, "1.0"):
            response = self.client.post(f"/debates/post/{post.pk}/votar/", {"value": value})
            assert response.status_code == 400
        for status in ("x", NUL, "x" * 100):
            response = self.client.post(f"/livros/{self.book.slug}/estante/", {"status": status})
            assert response.status_code == 400
        assert self.client.post(f"/debates/post/{HUGE}/votar/", {"value": 1}).status_code == 404

    def test_progress_that_cannot_be(self):
        path = f"/livros/{self.book.slug}/progresso/"
        for data in (
            {}, {"percent": 101}, {"percent": -1}, {"percent": HUGE}, {"page": 10},
            {"page": 11, "pages": 10}, {"page": 1, "pages": 0}, {"percent": NUL},
        ):  # fmt: skip
            with self.subTest(data=data):
                assert self.client.post(path, data).status_code == 422

    def test_reviews_that_cannot_be(self):
        path = f"/livros/{self.book.slug}/resenha/"
        for data in (
            {}, {"rating": 0}, {"rating": 11}, {"rating": "x"}, {"rating": 5, "text": NUL},
            {"rating": 5, "text": "x" * 10_001},
        ):  # fmt: skip
            with self.subTest(data=str(data)[:40]):
                assert self.client.post(path, data).status_code == 422
        assert not BookReview.objects.exists()


class HostileSignUpTests(TestCase):
    def sign_up(self, **values):
        forget_limits()
        data = {"username": "leitora", "email": "l@example.com", "password": PASSWORD, **values}
        return self.client.post("/conta/criar/", data)

    def test_names_and_addresses_that_cannot_be(self):
        make_user(username="Tomada", email="tomada@example.com")
        for values in (
            {"username": NUL}, {"username": ""}, {"username": "ab"}, {"username": "x" * 31},
            {"username": "a b"}, {"username": "a/b"}, {"username": "joão"}, {"username": "-ab-"},
            {"username": "tomada"}, {"username": "TOMADA"}, {"username": "abc\n"},
            {"email": "x"}, {"email": NUL}, {"email": "TOMADA@example.com"},
            {"email": "x" * 250 + "@example.com"}, {"email": ""},
            {"password": "123"}, {"password": "12345678901"}, {"password": "x" * 129},
            {"password": "leitora1"}, {"password": ""},
        ):  # fmt: skip
            with self.subTest(values={k: v[:20] for k, v in values.items()}):
                response = self.sign_up(**values)
                if values.get("username") == "abc\n":  # a browser's stray line end is stripped
                    assert response.status_code == 302
                    User.objects.filter(username="abc").delete()
                    self.client.logout()
                else:
                    assert response.status_code == 422
        assert User.objects.count() == 1

    def test_a_refused_password_is_never_echoed(self):
        response = self.sign_up(username="a b", password="segredo-meu-98")
        self.assertNotContains(response, "segredo-meu-98", status_code=422)


@pytest.mark.parametrize(
    "next_url",
    ["https://evil.example/", "//evil.example", "javascript:alert(1)", "\\\\evil", "/\\evil"],
)
@pytest.mark.django_db
def test_nobody_is_sent_to_another_site(client, next_url):
    user = make_user(password=PASSWORD)
    data = {"username": user.username, "password": PASSWORD, "next": next_url}
    assert client.post("/conta/entrar/", data).url == "/"
    client.logout()
    data = {"username": "nova", "email": "n@example.com", "password": PASSWORD, "next": next_url}
    assert client.post("/conta/criar/", data).url == "/"
    assert client.get("/idioma/en/", {"next": next_url}).url == "/"
    client.logout()
    topic = make_topic()
    post = make_post(topic)
    response = client.post(
        f"/debates/post/{post.pk}/votar/", {"value": 1}, headers={"Referer": next_url}
    )
    assert response.url == "/conta/entrar/?next=/"


@pytest.mark.parametrize("word", ["abc", "core:home", "livros"])
@pytest.mark.django_db
def test_a_word_is_no_address_to_go_back_to(client, word):
    assert client.get("/idioma/en/", {"next": word}).url == "/"
    data = {"username": "nova", "email": "n@example.com", "password": PASSWORD, "next": word}
    assert client.post("/conta/criar/", data).url == "/"
