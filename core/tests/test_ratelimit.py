"""core.ratelimit and the 429 answer: whom we count, how far, and what the turned away are told."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import Client, RequestFactory, SimpleTestCase, TestCase, override_settings
from django.urls import path, reverse
from django_ratelimit.core import _get_ip, _get_window

from cgbookstore.urls import urlpatterns as site
from core.limits import Limit, parse_limit
from core.ratelimit import UNKNOWN_ADDRESS, client_address, limit
from core.refusals import draft, wants_json
from tests.clock import stop_clock
from tests.factories import make_book, make_post, make_topic, make_user

SENTENCE = "Limite de requisições excedido. Tente novamente mais tarde."
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

with override_settings(
    RATES={
        "by_user": Limit("5/h", "3/m", "user", "POST"),
        "by_address": Limit("5/h", "3/m", "ip", "GET"),
    }
):

    @limit("by_user")
    def by_user(request):
        return HttpResponse("ok")

    @limit("by_address")
    def by_address(request):
        return HttpResponse("ok")


urlpatterns = [*site, path("por-pessoa/", by_user), path("por-endereco/", by_address)]


class ClientAddressTests(SimpleTestCase):
    def address(self, remote="10.0.0.9", forwarded=None, *, hops=0):
        request = RequestFactory().get("/")
        request.META["REMOTE_ADDR"] = remote
        if forwarded is not None:
            request.META["HTTP_X_FORWARDED_FOR"] = forwarded
        with override_settings(TRUSTED_PROXY_HOPS=hops):
            assert _get_ip(request) == client_address(request)  # the package asks us too
            return client_address(request)

    def test_without_proxies_the_header_is_not_read(self):
        assert self.address("192.0.2.7", "1.2.3.4") == "192.0.2.7"

    def test_the_nth_entry_from_the_right_counts(self):
        for forwarded, hops, address in (
            ("1.2.3.4", 1, "1.2.3.4"),
            ("1.2.3.4, 10.0.0.1", 1, "10.0.0.1"),
            ("1.2.3.4, 10.0.0.1", 2, "1.2.3.4"),
            ("6.6.6.6, 7.7.7.7,  1.2.3.4 ", 1, "1.2.3.4"),
            ("6.6.6.6, 1.2.3.4, 10.0.0.1", 2, "1.2.3.4"),
            (None, 1, "10.0.0.9"),  # it came through none
            ("", 1, "10.0.0.9"),
            (" , ", 2, "10.0.0.9"),
            ("1.2.3.4", 2, "10.0.0.9"),  # it did not come through both: the socket's address
        ):
            with self.subTest(forwarded, hops=hops):
                assert self.address(forwarded=forwarded, hops=hops) == address

    def test_forged_entries_on_the_left_change_nothing(self):
        forged = ("", "6.6.6.6", "x", "6.6.6.6, 7.7.7.7", "1.2.3.4:1, [::1]:2", "unknown", ",,,")
        found = {self.address(forwarded=f"{left}, 1.2.3.4", hops=1) for left in forged}
        assert found == {"1.2.3.4"}

    def test_ports_and_brackets_go(self):
        for forwarded, address in (
            ("1.2.3.4:5678", "1.2.3.4"),
            ("[2001:db8::1]:443", "2001:db8::"),
            ("[2001:db8::1]", "2001:db8::"),
            ("[::ffff:1.2.3.4]:80", "1.2.3.4"),
        ):
            with self.subTest(forwarded):
                assert self.address(forwarded=forwarded, hops=1) == address

    def test_one_ipv6_network_is_one_reader(self):
        for remote, address in (
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::"),
            ("2001:db8:1:3::1", "2001:db8:1:3::"),
            ("fe80::1%eth0", "fe80::"),
            ("::1", "::"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
        ):
            with self.subTest(remote):
                assert self.address(remote) == address

    def test_what_is_no_address_is_the_unknown_one(self):
        odd = (
            "", " ", "unix:", "/run/granian.sock", "unknown", "_hidden", "[", "[]", ":", "::::",
            "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4:x:y", "１.2.3.4", "\x00", "x" * 9000, ",",
        )  # fmt: skip
        for text in odd:
            with self.subTest(text[:20]):
                assert self.address(text) == UNKNOWN_ADDRESS
                if text.strip(" ,"):  # an empty header is none: the socket's address counts
                    assert self.address(forwarded=text, hops=1) == UNKNOWN_ADDRESS

    def test_a_request_without_any_address_is_no_error(self):
        request = RequestFactory().get("/")
        del request.META["REMOTE_ADDR"]
        assert client_address(request) == UNKNOWN_ADDRESS


class ParseLimitTests(SimpleTestCase):
    ROW = Limit("60/h", "30/m", "user", "POST")

    def test_nothing_keeps_the_row(self):
        assert parse_limit("", default=self.ROW) is self.ROW

    def test_two_rates_replace_the_numbers_only(self):
        for text in ("120/h,20/m", " 120/h , 20/m "):
            assert parse_limit(text, default=self.ROW) == Limit("120/h", "20/m", "user", "POST")
        assert parse_limit("0/h,7/15m", default=self.ROW)[:2] == ("0/h", "7/15m")

    def test_anything_else_stops_the_start(self):
        odd = ("120/h", "1/h,2/m,3/s", "many", "many,few", "120/h,", ",", "1/h,2/0m", "-1/h,1/m",
               "1/week,1/m", "1 / h,1/m", "1/h;1/m", "1.5/h,1/m")  # fmt: skip
        for text in odd:
            with self.subTest(text), pytest.raises(ValueError, match="two rates"):
                parse_limit(text, default=self.ROW)


class LimitTestCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.user, cls.other = make_user(), make_user()

    def setUp(self):
        self.clock = stop_clock(self)

    def begin_hour(self, counted: str):
        """Move the clock to where the hour of ``counted`` begins: each has its own edge."""
        self.clock.now = _get_window(counted, 3600) + 1

    def client_of(self, user=None, address="192.0.2.1", **headers) -> Client:
        client = Client(REMOTE_ADDR=address, **headers)
        if user:
            client.force_login(user)
        return client


@override_settings(ROOT_URLCONF="core.tests.test_ratelimit")
class LimitTests(LimitTestCase):
    def post(self, client, times=1):
        return [client.post("/por-pessoa/").status_code for _time in range(times)]

    def get(self, times=1, **headers):
        return [self.client.get("/por-endereco/", **headers).status_code for _time in range(times)]

    def test_the_burst_then_429_then_a_minute_later_again_until_the_hour_is_used_up(self):
        client = self.client_of(self.user)
        self.begin_hour(f"user:{self.user.pk}")
        assert self.post(client, 4) == [200, 200, 200, 429]
        self.clock.now += 60
        assert self.post(client, 2) == [200, 429]  # the refused one counted too: 5 an hour
        self.clock.now += 60
        assert self.post(client) == [429]
        self.clock.now += 3600
        assert self.post(client) == [200]

    def test_two_people_behind_one_address_do_not_share(self):
        one, two = self.client_of(self.user), self.client_of(self.other)
        assert self.post(one, 4)[-1] == 429
        assert self.post(two) == [200]

    def test_one_person_does_not_multiply_by_moving(self):
        for n in range(3):
            assert self.post(self.client_of(self.user, f"192.0.2.{n}")) == [200]
        assert self.post(self.client_of(self.user, "192.0.2.9")) == [429]

    def test_anonymous_visitors_are_counted_by_address_and_not_as_one(self):
        assert self.post(self.client_of(address="192.0.2.1"), 4)[-1] == 429
        assert self.post(self.client_of(address="192.0.2.2")) == [200]
        assert self.post(self.client_of(self.user, "192.0.2.1")) == [200]

    def test_only_the_named_method_counts(self):
        client = self.client_of(self.user)
        for _time in range(9):
            assert client.get("/por-pessoa/").status_code == 200
        assert self.post(client) == [200]

    def test_two_rows_do_not_share_a_counter(self):
        client = self.client_of()
        assert self.post(client, 4)[-1] == 429
        assert client.get("/por-endereco/").status_code == 200

    @override_settings(TRUSTED_PROXY_HOPS=1)
    def test_a_forged_header_gains_nothing_and_takes_nothing(self):
        def forwarded(n, address):
            return self.get(HTTP_X_FORWARDED_FOR=f"6.6.6.{n}, 198.51.100.{n}, {address}")

        assert [forwarded(n, "1.2.3.4") for n in range(4)] == [[200], [200], [200], [429]]
        # nor can it use up somebody else's allowance
        for n in range(5):
            self.get(HTTP_X_FORWARDED_FOR=f"5.5.5.5, 1.2.3.{n}")
        assert self.get(HTTP_X_FORWARDED_FOR="5.5.5.5") == [200]

    def test_a_whole_ipv6_network_is_one_reader(self):
        answers = [self.get(REMOTE_ADDR=f"2001:db8::{n}") for n in range(1, 5)]
        assert answers == [[200], [200], [200], [429]]
        assert self.get(REMOTE_ADDR="2001:db8:0:1::1") == [200]

    @override_settings(RATELIMIT_ENABLE=False)
    def test_an_operator_can_switch_it_off(self):
        assert set(self.post(self.client_of(self.user), 9)) == {200}


@override_settings(ROOT_URLCONF="core.tests.test_ratelimit")
class RefusalTests(LimitTestCase):
    def refused(self, **headers):
        client = self.client_of(address="192.0.2.50")
        for _time in range(3):
            client.get("/por-endereco/")
        return client.get("/por-endereco/", **headers)

    def test_people_get_a_page_that_says_when_to_come_back(self):
        response = self.refused(HTTP_ACCEPT=BROWSER)
        assert response.status_code == 429
        assert response["Content-Type"].startswith("text/html")
        assert SENTENCE in response.content.decode()
        assert 0 < int(response["Retry-After"]) <= 3600

    def test_scripts_get_the_owners_json(self):
        response = self.refused(HTTP_ACCEPT="application/json")
        assert response.status_code == 429
        assert response.json() == {"error": SENTENCE, "status": 429}
        assert int(response["Retry-After"]) > 0

    def test_neither_is_kept_by_anybody(self):
        for accept in (BROWSER, "application/json"):
            response = self.refused(HTTP_ACCEPT=accept)
            assert response["Cache-Control"] == "no-store"
            assert not response.cookies

    def test_who_wants_json(self):
        for accept, json in (
            ("application/json", True),
            ("application/json, text/plain, */*", True),
            (BROWSER, False),
            ("text/html, application/json", False),
            ("*/*", False),
            ("", False),
        ):
            request = RequestFactory().get("/", HTTP_ACCEPT=accept)
            assert wants_json(request) is json, accept


class DraftTests(LimitTestCase):
    WORDS = "Um <i>texto</i> de que eu gostava"

    def last_of(self, times, post):
        for _time in range(times):
            assert post().status_code == 302
        return post()

    def test_a_refused_debate_comes_back_to_be_copied(self):
        client, book = self.client_of(self.user), make_book()
        words = {
            "livro": book.slug, "title": "O título", "description": self.WORDS,
            "spoiler_percent": 0, "csrfmiddlewaretoken": "segredo-do-formulario",
        }  # fmt: skip
        allowed = int(settings.RATES["create_topic"].burst.partition("/")[0])
        url = reverse("debates:create_topic")
        response = self.last_of(allowed, lambda: client.post(url, words))
        assert response.status_code == 429
        self.assertContains(response, "Um &lt;i&gt;texto&lt;/i&gt; de que eu", status_code=429)
        self.assertContains(response, "O título", status_code=429)
        self.assertNotContains(response, "segredo-do-formulario", status_code=429)

    def test_nothing_typed_on_an_account_page_is_ever_shown_again(self):
        client = self.client_of(self.user)
        fields = ("password", "title", "description", "content", "text", "email")
        words = dict.fromkeys(fields, "palavra-que-nao-volta")
        allowed = int(settings.RATES["sign_up"].burst.partition("/")[0])
        url = reverse("accounts:sign_up")
        response = self.last_of(allowed, lambda: client.post(url, words))
        assert response.status_code == 429
        self.assertNotContains(response, "palavra-que-nao-volta", status_code=429)

    def test_every_account_page_is_under_the_path_that_keeps_nothing(self):
        names = (
            "edit_profile", "sign_up", "login", "password_change", "password_reset",
            "password_reset_done",
        )  # fmt: skip
        pages = [reverse(f"accounts:{name}") for name in names]
        pages.append(reverse("accounts:password_reset_confirm", args=["x", "y"]))
        for page in pages:
            assert draft(RequestFactory().post(page, {"text": "x"})) == [], page
        assert draft(RequestFactory().post("/livros/x/resenha/", {"text": "x"})) == ["x"]
        assert draft(RequestFactory().get("/debates/", {"text": "x"})) == []

    def test_a_form_that_grew_too_old_keeps_its_words_too(self):
        client = Client(enforce_csrf_checks=True)
        client.force_login(self.user)
        topic = make_topic()
        url = reverse("debates:create_post", args=[topic.slug])
        response = client.post(url, {"content": f"\x00{self.WORDS}", "csrfmiddlewaretoken": "x"})
        self.assertContains(response, "Um &lt;i&gt;texto&lt;/i&gt;", status_code=403)
        assert response["Cache-Control"] == "no-store"
        response = client.post(reverse("accounts:edit_profile"), {"text": "nao-volta"})
        self.assertNotContains(response, "nao-volta", status_code=403)


class OwnersNumbersTests(LimitTestCase):
    """The three limits the owner fixed, used up for real, a few a minute."""

    def use_up(self, ask, *, counted, allowed, a_minute, answer):
        self.begin_hour(counted)
        for n in range(allowed):
            if n % a_minute == 0:
                self.clock.now += 60
            assert ask(n).status_code == answer, n
        self.clock.now += 60
        assert ask(allowed).status_code == 429

    def test_debates_list_200_an_hour_an_address(self):
        client, url = self.client_of(), reverse("debates:debates_list")
        numbers = {"counted": "ip:192.0.2.1", "allowed": 200, "a_minute": 20}
        self.use_up(lambda n: client.get(url), answer=200, **numbers)
        assert self.client_of(address="192.0.2.2").get(url).status_code == 200

    def test_create_post_60_an_hour_a_person(self):
        client, topic = self.client_of(self.user), make_topic()
        url = reverse("debates:create_post", args=[topic.slug])
        words = {"content": "Uma resposta.", "spoiler_percent": 0}
        numbers = {"counted": f"user:{self.user.pk}", "allowed": 60, "a_minute": 10}
        self.use_up(lambda n: client.post(url, words), answer=302, **numbers)
        assert self.client_of(self.other).post(url, words).status_code == 302

    def test_vote_post_100_an_hour_a_person(self):
        client, post = self.client_of(self.user), make_post()
        url = reverse("debates:vote_post", args=[post.pk])
        vote = {"value": "1"}
        numbers = {"counted": f"user:{self.user.pk}", "allowed": 100, "a_minute": 20}
        self.use_up(lambda n: client.post(url, vote), answer=302, **numbers)
        assert self.client_of(self.other).post(url, vote).status_code == 302
