"""The spots of a member's page: nobody's words break out of one, and each is filled or left."""

from __future__ import annotations

import random as chance
import re
from itertools import combinations

from django.middleware.csrf import CSRF_ALLOWED_CHARS, _does_token_match
from django.template import Context, Template
from django.test import Client, RequestFactory, SimpleTestCase, TestCase

from core import member_pages
from core.layouts import CSRF, Layout
from tests.factories import make_book, make_post, make_topic, make_user
from tests.keeping import another_process, without_token

MARKS = (
    "\x1e0123456789abcdef+name\x1fX\x1e0123456789abcdef-name\x1f \x1e+name\x1f \x1f \x1e\x1e =csrf"
)


def fill(parts: list[str], own: dict[str, str], token: str) -> str:
    layout = Layout.of(parts)
    layout = Layout(layout.text, layout.marks())  # as from Redis
    layout.fill({"name": "somebody else", "a": "before"}, "another")  # which leaves nothing behind
    return layout.fill(own, token).decode()


class FillTests(SimpleTestCase):
    def test_what_the_member_has_stands_in_its_spot(self):
        parts = ["a ", "+name", "nobody", "-name", " z"]
        assert fill(parts, {"name": "Ana"}, "t") == "a Ana z"
        assert fill(parts, {"name": ""}, "t") == "a  z"

    def test_what_the_member_has_not_stays_as_it_is(self):
        parts = ["a ", "+name", "nobody", "-name", " z"]
        assert fill(parts, {}, "t") == fill(parts, {"other": "x"}, "t") == "a nobody z"

    def test_the_token_stands_wherever_the_page_names_it(self):
        parts = ["1", CSRF, "2", CSRF, "3"]
        assert fill(parts, {}, "t") == "1t2t3"
        assert fill(["1", "+x", "2", CSRF, "3", "-x", "4"], {"x": "own"}, "t") == "1own4"
        assert fill(["1", "+x", "2", CSRF, "3", "-x", "4"], {}, "t") == "12t34"

    def test_spots_in_spots(self):
        parts = ["1", "+a", "2", "+b", "3", "-b", "4", "-a", "5"]
        for own, page in (
            ({}, "12345"), ({"a": "A"}, "1A5"), ({"b": "B"}, "12B45"), ({"a": "A", "b": "B"}, "1A5"),
        ):  # fmt: skip
            assert fill(parts, own, "t") == page

    def test_a_spot_that_is_not_closed_takes_the_rest_and_no_more(self):
        assert fill(["1", "+a", "2", "-b", "3"], {"a": "A"}, "t") == "1A"
        assert fill(["1", "-a", "2"], {"a": "A"}, "t") == "12"

    def test_a_spot_with_nothing_but_a_token(self):
        parts = ["1", "+a", "", CSRF, "", "-a", "2"]
        assert fill(parts, {}, "t") == "1t2"
        assert fill(parts, {"a": ""}, "t") == "12"
        assert fill(["1", CSRF, "", "+a", "", "-a", "2"], {"a": "A"}, "t") == "1tA2"

    def test_places_are_those_of_bytes(self):
        parts = ["ação ", "+a", "ninguém", "-a", " 日本 ", CSRF, " ü"]
        assert fill(parts, {}, "t") == "ação ninguém 日本 t ü"
        assert fill(parts, {"a": "Antônia"}, "t") == "ação Antônia 日本 t ü"

    def test_a_page_without_spots(self):
        assert fill(["1"], {"a": "A"}, "t") == "1"

    def test_the_same_spot_twice(self):
        parts = ["1", "+a", "x", "-a", "2", "+a", "y", "-a", "3"]
        assert fill(parts, {"a": "A"}, "t") == "1A2A3"

    def test_a_spot_within_one_of_the_same_name_goes_with_it(self):
        parts = ["1", "+a", "2", "+a", "3", "-a", "4"]
        assert fill(parts, {"a": "A"}, "t") == "1A4"

    def test_what_stands_between_marks_is_text_whatever_it_says(self):
        assert fill(["+a", "+b", "-b", "-b", "=csrf"], {"a": "A", "b": "B"}, "t") == "+aB=csrf"


class MarkTests(SimpleTestCase):
    def test_outside_of_a_kept_page_there_are_none(self):
        page = Template('{% load core_tags %}<a href="{% spot "a" 1 %}x{% endspot %}">').render(
            Context()
        )
        assert page == '<a href="x">'
        assert member_pages.mark("a") == ""

    def test_the_token_is_django_s_behind_another_mask_each_time(self):
        secret = "".join(chance.sample(CSRF_ALLOWED_CHARS, 32))
        request = RequestFactory().get("/")
        request.META["CSRF_COOKIE"] = secret
        tokens = {str(member_pages.csrf_mark(request)["csrf_token"]) for _time in range(300)}
        assert len(tokens) == 300
        assert all(_does_token_match(token, secret) for token in tokens)
        masks = [token[:32] for token in tokens]
        assert set("".join(masks)) == set(CSRF_ALLOWED_CHARS)
        assert all(len(set(place)) > 40 for place in zip(*masks, strict=True))
        for one, other in combinations(range(0, 32, 2), 2):  # no two are one draw
            assert any(mask[one : one + 2] != mask[other : other + 2] for mask in masks)
        assert request.META["CSRF_COOKIE_NEEDS_UPDATE"]

    def test_the_token_is_drawn_when_somebody_asks_for_it(self):
        request = RequestFactory().get("/")
        token = member_pages.csrf_mark(request)["csrf_token"]
        assert "CSRF_COOKIE" not in request.META
        assert _does_token_match(str(token), request.META["CSRF_COOKIE"])

    def test_two_pages_have_two_secrets_and_none_stays(self):
        secrets = set()
        for _time in range(2):
            with member_pages._marking() as secret:
                secrets.add(secret)
                assert secret in member_pages.mark("a")
        assert len(secrets) == 2
        assert member_pages.mark("a") == ""


class WordsTests(TestCase):
    """Readers' words that look like marks: in texts, titles and the name of the member."""

    @classmethod
    def setUpTestData(cls):
        cls.member = make_user(display_name="Ana\x1e+menu\x1f")
        cls.other = make_user(display_name=f"=csrf {MARKS[:30]}")
        book = make_book(title=f"Livro {MARKS}")
        cls.topic = make_topic(creator=cls.other, book=book, title=f"T {MARKS}", description=MARKS)
        cls.post = make_post(cls.topic, author=cls.other, content=f"Palavras {MARKS} fim")

    def pages(self, user):
        client = self.client_class()
        client.force_login(user)
        for path in (
            "/",
            "/debates/",
            self.topic.get_absolute_url(),
            self.topic.book.get_absolute_url(),
        ):
            yield path, without_token(client.get(path).text)

    def test_they_stay_words(self):
        for user in (self.member, self.other):
            with self.settings(PAGE_CACHE=False):
                built = dict(self.pages(user))
            for _time in ("cold", "near"):
                assert dict(self.pages(user)) == built
            with another_process():
                assert dict(self.pages(user)) == built


class TokenTests(TestCase):
    """The token of a member's page is one that Django takes, and never twice the same."""

    def test_django_takes_it(self):
        client, topic = Client(enforce_csrf_checks=True), make_topic()
        client.force_login(make_user())
        client.get("/conta/")  # for the cookie
        found = []
        for _page in range(3):
            page = client.get(topic.get_absolute_url()).text
            (token, *others) = re.findall('name="csrfmiddlewaretoken" value="([^"]+)"', page)
            assert set(others) <= {token}
            found.append(token)
            words = {"content": "Sim.", "spoiler_percent": 0, "csrfmiddlewaretoken": token}
            assert client.post(f"{topic.get_absolute_url()}responder/", words).status_code == 302
            client.cookies.pop("fresh")
        assert len(set(found)) == 3
        words["csrfmiddlewaretoken"] = token[:-1] + ("a" if token[-1] != "a" else "b")
        assert client.post(f"{topic.get_absolute_url()}responder/", words).status_code == 403
