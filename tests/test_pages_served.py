"""Every kept page, cold and warm, for everybody: the same bytes as the page that is built."""

from __future__ import annotations

import gzip
import json
import re

import redis
from django.conf import settings
from django.db import connection
from django.test import TestCase, override_settings
from django.test.utils import CaptureQueriesContext

from accounts.services import write_review
from core import cache
from core.models import Book
from core.paging import after
from debates.models import DebateTopic, DebateVote
from debates.querysets import TopicQuerySet
from debates.services import delete_post, vote_post

from .clock import stop_clock
from .factories import forget_limits, make_post, make_staff, make_topic, make_user
from .keeping import (
    KEPT,
    another_process,
    entries,
    forget_everything,
    in_redis,
    kept_views,
    round_trips,
    token_of,
    two_seconds_later,
    without_token,
)
from .world import World

LANGUAGES = ("pt-br", "en")
# of one answer: what only a kept page has, what the connection makes, what names the request
OWN_HEADERS = {"ETag", "Cache-Control", "Content-Length", "Vary", "X-Request-ID"}


class PagesTestCase(TestCase):
    """A world with two pages of every list, and a member who voted, wrote and opened debates."""

    @classmethod
    def setUpTestData(cls):
        cls.world = World(60)
        cls.member, cls.other = make_user(display_name="Ana <b>"), make_user(display_name="Bia")
        cls.staff = make_staff()
        cls.topic = make_topic(creator=cls.member, book=cls.world.book)
        cls.own_post = make_post(cls.topic, author=cls.member, content="O que Ana disse.")
        cls.post = make_post(cls.topic, author=cls.world.reader)
        vote_post(post=cls.post, user=cls.member, value=-1)
        write_review(
            user=cls.member, book=cls.world.book, rating=4, text="Fraco.", has_spoiler=False
        )
        cls.paths = {cls.world.path(path): name for name, paths in KEPT.items() for path in paths}

    def setUp(self):
        stop_clock(self)

    def reader(self, user=None):
        client = self.client_class()
        if user:
            client.force_login(user)
        return client

    def get(self, path: str, user=None, language="pt-br", **headers):
        return self.reader(user).get(path, headers={"accept-language": language, **headers})

    def built(self, path: str, user=None, language="pt-br"):
        with override_settings(PAGE_CACHE=False):
            return self.get(path, user, language)


class SameBytesTests(PagesTestCase):
    def test_the_table_names_every_kept_view(self):
        assert kept_views().keys() == KEPT.keys()

    def test_every_kept_page_is_kept_for_members_too(self):
        for name, spec in kept_views().items():
            assert spec.marks is not None, name

    def assert_same(self, found, built, what):
        assert found.status_code == 200, what
        assert without_token(found.text) == without_token(built.text), what
        headers = [
            {name: value for name, value in response.items() if name not in OWN_HEADERS}
            for response in (found, built)
        ]
        assert headers[0] == headers[1], what
        assert "Content-Security-Policy" in found, what
        for word in built.get("Vary", "").split(", "):
            assert word in found["Vary"], what

    def test_cold_warm_and_near_pages_are_those_that_are_built(self):
        own = (None, self.member, self.world.reader, self.other)
        for path in self.paths:
            for language in LANGUAGES:
                for user in own:
                    forget_limits()
                    built = self.built(path, user, language)
                    for state in ("cold or of the one before", "near"):
                        what = f"{path} {language} {user} {state}"
                        self.assert_same(self.get(path, user, language), built, what)
                    with another_process():
                        what = f"{path} {language} {user} from Redis"
                        self.assert_same(self.get(path, user, language), built, what)

    def test_a_warm_page_costs_an_anonymous_reader_no_query_and_one_round_trip(self):
        for path, name in self.paths.items():
            self.get(path)
            limits = 1 if name == "debates:debates_list" else 0  # its rates are counted
            for within, pages in ((another_process, 1), (override_settings, 0)):
                with (
                    self.subTest(path=path, pages=pages),
                    within(),
                    self.assertNumQueries(0),
                    round_trips() as asked,
                ):
                    assert self.get(path).status_code == 200
                assert len(asked) == pages + limits, path

    def test_a_members_warm_page_is_not_built(self):
        """Session, user and what the page asks of the member; never what everyone sees."""
        for path in self.paths:
            with self.subTest(path=path):
                client = self.reader(self.member)
                client.get(path)
                with another_process(), CaptureQueriesContext(connection) as seen:
                    client.get(path)
                tables = " ".join(query["sql"] for query in seen)
                assert len(seen) <= 5
                assert "debates_debatetopic" not in tables
                assert "core_author" not in tables

    def test_parameters_that_change_nothing_make_no_entry_and_are_not_repeated(self):
        for user in (None, self.member):
            for path in self.paths:
                with self.subTest(path=path, user=user):
                    more = self.get(f"{path}{'&' if '?' in path else '?'}utm_x=1", user)
                    before = entries().keys()
                    plain = self.get(path, user)
                    assert entries().keys() == before
                    assert without_token(more.text) == without_token(plain.text)
                    assert "utm_x" not in more.text

    def test_the_order_of_parameters_and_empty_ones_make_no_entry(self):
        category, book = self.world.category.slug, self.world.book.slug
        for path, same in (
            (
                f"/livros/?categoria={category}&ordem=titulo",
                f"/livros/?ordem=titulo&categoria=x&categoria={category}",
            ),
            (
                f"/livros/?categoria={category}",
                f"/livros/?categoria={category}&lingua=&de=&ate=&ordem=",  # as the form sends it
            ),
            ("/debates/", "/debates/?pagina=1"),
            (f"/debates/?livro={book}", f"/debates/?pagina=1&livro={book}&x"),
            (f"/livros/{book}/", f"/livros/{book}/?pagina=1&ref=y"),
        ):
            with self.subTest(same=same):
                plain = self.get(path)
                before = entries().keys()
                assert self.get(same).text == plain.text
                assert entries().keys() == before


class WireTests(PagesTestCase):
    def test_the_packed_form_is_the_same_page(self):
        for path in self.paths:
            with self.subTest(path=path):
                plain = self.get(path)
                for _time in ("warm", "near"):
                    packed = self.get(path, **{"accept-encoding": "br, gzip"})
                    assert packed["Content-Encoding"] == "gzip"
                    assert packed["Content-Length"] == str(len(packed.content))
                    assert gzip.decompress(packed.content) == plain.content
                    assert packed["ETag"] == plain["ETag"]
                assert "Accept-Encoding" in packed["Vary"]
                assert "Content-Encoding" not in self.get(path)

    def test_who_has_the_page_already_is_told_so(self):
        for path in self.paths:
            with self.subTest(path=path):
                page = self.get(path)
                again = self.get(path, **{"if-none-match": f'"x", {page["ETag"]}'})
                assert again.status_code == 304
                assert again.content == b""
                for name in ("ETag", "Vary", "Cache-Control"):
                    assert again[name] == page[name]
                assert self.get(path, **{"if-none-match": 'W/"other"'}).status_code == 200

    def test_another_page_has_another_tag(self):
        first = self.get("/")["ETag"]
        with two_seconds_later():
            make_topic(book=self.world.book, title="Mais um")
            second = self.get("/", **{"if-none-match": first})
        assert second.status_code == 200
        assert second["ETag"] != first

    def test_head_has_the_headers_of_the_page_and_no_body(self):
        for path in self.paths:
            for state in ("cold", "warm"):
                with self.subTest(path=path, state=state):
                    if state == "cold":
                        forget_everything()
                    head = self.reader().head(path)
                    page = self.get(path)
                    assert head.status_code == 200
                    assert head.content == b""
                    for name in ("ETag", "Content-Length", "Content-Type", "Vary"):
                        assert head[name] == page[name], name

    def test_other_methods_never_reach_a_kept_page(self):
        for path in self.paths:
            self.get(path)
            for method in ("post", "put", "delete", "options", "patch"):
                assert getattr(self.reader(), method)(path).status_code == 405, method


class InRedisTests(PagesTestCase):
    def fill(self) -> dict[str, bytes]:
        for path in self.paths:
            for language in LANGUAGES:
                for user in (None, self.member, self.staff):
                    self.get(path, user, language)
        return entries()

    def test_no_kept_page_holds_what_is_somebodys(self):
        client = self.reader(self.member)
        client.post("/conta/", {"display_name": "Ana <b>", "email": self.member.email})
        client.cookies.pop("fresh")
        page = client.get("/")
        assert "Perfil guardado." in page.text
        secrets = [token_of(page.text), client.cookies["csrftoken"].value]
        secrets += [client.cookies["sessionid"].value, "Perfil guardado.", "Set-Cookie"]
        secrets += ["Moderar", self.staff.username]
        kept = self.fill()
        assert len(kept) > 2 * len(self.paths)
        for key, value in kept.items():
            for secret in secrets:
                assert secret.encode() not in value, (key, secret)

    def test_a_kept_page_is_that_of_nobody(self):
        for key, value in self.fill().items():
            if "-pages:" not in key:
                continue
            if ":member:" in key:
                page = value.partition(b"\n")[2].decode()
                menu = page.partition("menu__list")[0]
                assert "leitor" in menu
                assert "Ana" not in menu.partition("menu__summary")[2]
                assert not re.search("[A-Za-z0-9]{64}", value.decode())
                continue
            meta, _newline, body = value.partition(b"\n")
            length = json.loads(meta)["length"]
            html, packed = body[:length], body[length:]
            assert gzip.decompress(packed) == html
            assert b"menu__name" not in html
            assert b"csrf" not in html

    def test_what_is_kept_is_plain_json_and_html_for_a_day(self):
        server = redis.Redis.from_url(settings.REDIS_URL)
        self.addCleanup(server.close)
        for key, value in self.fill().items():
            left = server.ttl(key)
            assert 0.9 * cache.KEPT_SECONDS < left <= cache.KEPT_SECONDS, key
            meta = json.loads(value.partition(b"\n")[0])
            header = meta.get("header", meta)
            assert set(header["tokens"]) >= {cache.EVERYTHING}, key
            assert "" not in header["tokens"].values(), key
        for key in in_redis():
            if ":generation:" in key:  # it outlives what is kept under it
                assert cache.KEPT_SECONDS < server.ttl(key) <= cache.TOKEN_SECONDS, key

    def test_unknown_addresses_leave_nothing_for_long(self):
        server = redis.Redis.from_url(settings.REDIS_URL)
        self.addCleanup(server.close)
        for user in (None, self.member):
            for path in (
                "/debates/topico/nao-existe/", "/livros/nao-existe/", "/autores/nao-existe/",
                "/categorias/nao-existe/", "/debates/?livro=qualquer-coisa", "/debates/?pagina=11",
                "/debates/?pagina=", "/debates/?pagina=01", "/livros/?ordem=qualquer",
                "/livros/?categoria=qualquer", "/livros/?lingua=xx", "/livros/?pagina=9",
            ):  # fmt: skip
                assert self.get(path, user).status_code in {400, 404}, path
        for path in (
            "/livros/?de=1900", "/livros/?ate=1950", "/busca/?q=livro", "/busca/",
            f"/leitores/{self.member.username}/", "/conta/entrar/",
        ):  # fmt: skip
            assert self.get(path).status_code == 200, path
        assert not entries()
        for key in in_redis():
            if "nao-existe" in key or "qualquer" in key:
                assert server.ttl(key) <= 60, key

    def test_deep_pages_by_key_are_not_kept(self):
        row = DebateTopic.objects.published().order_by(*TopicQuerySet.ACTIVE_FIRST)[3]
        self.get("/debates/")
        before = entries().keys()
        for user in (None, self.member):
            found = self.get(f"/debates/{after(row, TopicQuerySet.ACTIVE_FIRST)}", user)
            assert found.status_code == 200
            assert self.get("/debates/?depois=", user).status_code == 404
            assert self.get("/debates/?antes=x", user).status_code == 404
        assert entries().keys() == before


class WhoTests(PagesTestCase):
    def test_nobody_is_shown_what_is_anothers(self):
        topic = self.topic.get_absolute_url()
        down = f'id="down-{self.post.pk}" aria-pressed="true"'
        edit = f"{self.own_post.get_absolute_url()}editar/"
        for order in ((self.member, self.other, None), (None, self.other, self.member)):
            forget_everything()
            for user in order * 2:
                page = self.get(topic, user).text
                assert (down in page) == (user == self.member), user
                assert (edit in page) == (user == self.member), user
                assert (f'"{topic}editar/"' in page) == (user == self.member), user
                assert ("menu__name" in page) == (user is not None), user
                assert (f'href="/leitores/{self.other.username}/"' in page) == (user == self.other)
                assert "Moderar" not in page

    def test_staff_get_their_own_and_leave_none(self):
        hidden = make_post(self.topic, content="Palavras retiradas.")
        make_post(self.topic, parent=hidden)
        delete_post(post=hidden, actor=self.staff)
        topic = self.topic.get_absolute_url()
        for _time in range(2):
            page = self.get(topic, self.staff).text
            assert "Moderar" in page
            assert "Palavras retiradas." in page
            for user in (None, self.member):
                page = self.get(topic, user).text
                assert "Moderar" not in page
                assert "Palavras retiradas." not in page
                assert "Resposta removida" in page

    def test_the_token_of_a_kept_page_is_the_members_own_and_counts(self):
        topic = self.topic.get_absolute_url()
        self.get(topic, self.other)  # the page is another's first
        for user in (self.member, self.other):
            client = self.client_class(enforce_csrf_checks=True)
            client.force_login(user)
            page = client.get(topic).text
            post = self.post.get_absolute_url()
            tokens = {token_of(page), *[line for line in page.split('"') if len(line) == 64]}
            assert len(tokens) == 1
            answer = client.post(
                f"{post}votar/", {"value": "1", "csrfmiddlewaretoken": tokens.pop()}
            )
            assert answer.status_code == 302
            assert DebateVote.objects.get(post=self.post, user=user).value == 1

    def test_messages_show_once_and_only_to_whom_they_are_for(self):
        book = self.world.book
        for path in self.paths:
            with self.subTest(path=path):
                client = self.reader(self.member)
                client.get(path)
                client.post(f"{book.get_absolute_url()}progresso/", {"percent": "40"})
                client.cookies.pop("fresh")
                assert "Progresso guardado." not in self.get(path, self.other).text
                assert "Progresso guardado." in client.get(path).text
                assert "Progresso guardado." not in client.get(path).text
                assert "Progresso guardado." not in self.get(path).text

    def test_languages_do_not_mix(self):
        for path in self.paths:
            for user in (None, self.member):
                with self.subTest(path=path, user=user):
                    for _time in range(2):
                        english = self.get(path, user, "en-GB,en;q=0.9")
                        client = self.reader(user)
                        client.cookies[settings.LANGUAGE_COOKIE_NAME] = "en"
                        by_cookie = client.get(path, headers={"accept-language": "pt-br"})
                        portuguese = self.get(path, user, "pt")
                        other = self.get(path, user, "de, fr;q=0.5")
                        assert '<html lang="en">' in english.text
                        assert without_token(by_cookie.text) == without_token(english.text)
                        assert english["Content-Language"] == by_cookie["Content-Language"] == "en"
                        assert '<html lang="pt-br">' in portuguese.text
                        assert without_token(other.text) == without_token(portuguese.text)

    def test_a_session_or_a_message_is_never_answered_from_the_page_for_all(self):
        self.get("/")
        Book.objects.filter(pk=self.world.book.pk).update(title="Mudou sem sinal")
        for cookie in ("sessionid", "messages"):
            client = self.reader()
            client.cookies[cookie] = "x"
            assert "ETag" not in client.get("/livros/")
        client = self.reader()
        client.cookies["csrftoken"] = "x" * 32
        client.cookies["outro"] = "1"
        assert "ETag" in client.get("/livros/")


class DoorTests(PagesTestCase):
    def test_a_hostile_host_is_refused_warm_and_cold(self):
        for path in self.paths:
            for state in ("cold", "warm"):
                with self.subTest(path=path, state=state), self.assertLogs("django.security"):
                    if state == "warm":
                        self.get(path)
                    assert (
                        self.reader().get(path, headers={"host": "evil.example"}).status_code == 400
                    )
                with self.assertLogs("django.security"):
                    found = self.reader().get(path, headers={"host": "a b"})
                assert found.status_code == 400

    @override_settings(SECURE_SSL_REDIRECT=True, SECURE_HSTS_SECONDS=60)
    def test_http_is_sent_to_https_whatever_is_kept(self):
        for path in self.paths:
            for state in ("cold", "near"):
                with self.subTest(path=path, state=state):
                    plain = self.client_class().get(path)
                    assert plain.status_code == 301
                    assert plain["Location"] == f"https://testserver{path}"
                    safe = self.client_class().get(path, secure=True)
                    assert safe.status_code == 200
                    assert safe["Strict-Transport-Security"].startswith("max-age=60")
            with another_process():
                assert self.client_class().get(path).status_code == 301
