"""Coming and going: sign-up, log-in, log-out, a forgotten password, the profile."""

from __future__ import annotations

import re

from django.contrib.auth import get_user
from django.contrib.sessions.models import Session
from django.core import mail
from django.test import TestCase

from accounts.models import User
from core.models import OutgoingMail
from core.queues import CRITICAL

from .factories import PASSWORD, make_book, make_user


class AccountPagesTests(TestCase):
    def logged_in(self) -> bool:
        return get_user(self.client).is_authenticated

    def login(self, username, password=PASSWORD, **data):
        return self.client.post(
            "/conta/entrar/", {"username": username, "password": password, **data}
        )

    def test_sign_up_logs_in_and_leads_back(self):
        data = {"username": "Nova.Leitora", "email": "nova@example.com", "password": PASSWORD}
        response = self.client.post("/conta/criar/", {**data, "next": "/debates/"})
        assert response.url == "/debates/"
        assert self.logged_in()
        assert User.objects.get().password.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")

    def test_login_by_name_or_address_in_any_case(self):
        make_user(username="Leitora", email="Leitora@example.com", password=PASSWORD)
        for name in ("Leitora", "leitora", "LEITORA@EXAMPLE.COM"):
            assert self.login(name).status_code == 302, name
            assert self.logged_in()
            self.client.post("/conta/sair/")
            assert not self.logged_in()

    def test_a_wrong_login_says_so_and_keeps_the_name(self):
        make_user(username="leitora", password=PASSWORD)
        for name, password in (("leitora", "errada"), ("ninguem", PASSWORD)):
            response = self.login(name, password)
            self.assertContains(response, "não conferem")
            self.assertContains(response, f'value="{name}"')
            self.assertNotContains(response, f'value="{password}"')
        assert not self.logged_in()

    def test_an_account_that_was_closed_cannot_log_in(self):
        make_user(username="saiu", password=PASSWORD, is_active=False)
        assert self.login("saiu").status_code == 200
        assert not self.logged_in()
        assert self.client.get("/leitores/saiu/").status_code == 404

    def test_a_link_cannot_log_out(self):
        self.client.force_login(make_user())
        assert self.client.get("/conta/sair/").status_code == 405
        assert self.logged_in()

    def test_login_leads_back_to_the_page(self):
        make_user(username="leitora", password=PASSWORD)
        response = self.client.get("/debates/novo/?livro=x")
        assert response.url == "/conta/entrar/?next=/debates/novo/%3Flivro%3Dx"
        assert self.login("leitora", next="/debates/novo/?livro=x").url == "/debates/novo/?livro=x"

    def test_a_forgotten_password(self):
        make_user(username="leitora", email="leitora@example.com", password=PASSWORD)
        self.client.post("/conta/senha/nova/", {"email": "LEITORA@example.com"})
        message = OutgoingMail.objects.get()
        assert (message.to, message.queue) == ("leitora@example.com", CRITICAL)
        assert not mail.outbox  # a worker talks to the mail server, not the request
        link = re.search(r"https?://testserver(/conta/senha/\S+)", message.text).group(1)
        form = self.client.get(link, follow=True)
        path = form.redirect_chain[-1][0]
        data = {"new_password1": "outra-senha-boa", "new_password2": "outra-senha-boa"}
        assert self.client.post(path, data).status_code == 302
        assert self.login("leitora", "outra-senha-boa").status_code == 302
        assert self.client.get(link).status_code == 200  # used up: the page says so

    def test_a_reset_tells_nobody_who_has_an_account(self):
        known = make_user(email="tem@example.com", password=PASSWORD)
        answers = [
            self.client.post("/conta/senha/nova/", {"email": email})
            for email in (known.email, "nao-tem@example.com")
        ]
        assert len({(response.status_code, response.url) for response in answers}) == 1
        assert OutgoingMail.objects.count() == 1

    def test_a_reset_link_that_is_none(self):
        for link in (
            "/conta/senha/x/y/",
            "/conta/senha/OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk/set-password/",
        ):
            response = self.client.get(link)
            assert response.status_code == 200
            assert not response.context["validlink"]

    def test_the_profile_form_keeps_what_was_typed_and_changes_nothing_else(self):
        user = make_user(display_name="Antes")
        self.client.force_login(user)
        bad = self.client.post("/conta/", {"display_name": "x" * 61, "email": user.email})
        self.assertContains(bad, "x" * 61, status_code=422)
        good = self.client.post(
            "/conta/", {"display_name": "Depois", "email": user.email, "is_staff": "on"}
        )
        assert good.url == f"/leitores/{user.username}/"
        user.refresh_from_db()
        assert user.name == "Depois"
        assert not user.is_staff

    def test_changing_the_password_keeps_the_session_and_ends_the_others(self):
        user = make_user(password=PASSWORD)
        other = self.client_class()
        other.force_login(user)
        self.client.force_login(user)
        data = {
            "old_password": PASSWORD,
            "new_password1": "nova-senha-7",
            "new_password2": "nova-senha-7",
        }
        assert self.client.post("/conta/senha/", data).status_code == 302
        assert self.logged_in()
        assert not get_user(other).is_authenticated

    def test_the_profile_shows_what_is_public(self):
        user = make_user(display_name="Nome público", email="secreto@example.com")
        for tab in ("estante", "resenhas", "debates", "respostas"):
            response = self.client.get(f"/leitores/{user.username}/?aba={tab}")
            self.assertContains(response, "Nome público")
            self.assertNotContains(response, "secreto@example.com")
        assert self.client.get(f"/leitores/{user.username.upper()}/").status_code == 301


class AnonymousPagesTests(TestCase):
    """No page for anonymous readers carries a token or a cookie, or leaves a session."""

    def test_reading_sets_nothing(self):
        from .world import World

        world = World(3)
        for path in (
            "/", "/debates/", "/debates/topico/{topic}/", "/livros/", "/livros/{book}/",
            "/autores/{author}/", "/categorias/{category}/", "/leitores/{reader}/",
            "/busca/?q=livro", "/nada/",
        ):  # fmt: skip
            with self.subTest(path=path):
                response = self.client.get(world.path(path))
                assert not response.cookies
                assert b"csrfmiddlewaretoken" not in response.content
        assert not Session.objects.exists()

    def test_language_by_header_and_by_a_plain_link(self):
        make_book()
        assert 'lang="pt-br"' in self.client.get("/").content.decode().lower()
        english = self.client.get("/", headers={"Accept-Language": "en"})
        assert 'lang="en"' in english.content.decode()
        assert english["Content-Language"] == "en"
        response = self.client.get("/idioma/en/?next=/livros/")
        assert response.url == "/livros/"
        assert 'lang="en"' in self.client.get("/livros/").content.decode()
