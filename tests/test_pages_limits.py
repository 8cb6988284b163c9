"""A kept page that is limited: each request counts once, whoever answers it."""

from __future__ import annotations

from unittest import mock

from django.conf import settings
from django.core.cache import caches
from django.test import TestCase
from django_ratelimit.core import get_usage

from core import cache, serving

from .clock import stop_clock
from .factories import make_topic, make_user
from .keeping import another_process, release_claims

FEW = settings.RATES["debates_list"]._replace(burst="4/m")
SENTENCE = "Limite de requisições excedido. Tente novamente mais tarde."


class LimitedPageTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.topic = make_topic()
        cls.member = make_user()

    def setUp(self):
        stop_clock(self)

    def counted(self, address="127.0.0.1") -> int:
        """How often the reader at ``address`` is counted in this hour."""
        row = settings.RATES["debates_list"]
        return get_usage(
            mock.Mock(method="GET"), group="debates_list.rate", key=lambda *_: f"ip:{address}",
            rate=row.rate, method=["GET", "HEAD"],
        )["count"]  # fmt: skip

    def few(self):
        """Four a minute, for the view too, which keeps the row it was made with."""
        pages_rows = mock.patch.dict(settings.RATES, debates_list=FEW)
        pages_rows.start()
        self.addCleanup(pages_rows.stop)
        for _time in range(2):
            self.client.get("/debates/")  # kept from here on

    def test_each_request_counts_once_built_or_kept(self):
        client, member = self.client_class(), self.client_class()
        member.force_login(self.member)
        total = 0

        def one(ask):
            nonlocal total
            ask("/debates/")
            total += 1
            assert self.counted() == total

        one(client.get)  # built
        one(client.get)  # near
        one(client.head)
        with another_process():
            one(client.get)  # from Redis
        cache._bump_now([cache.EVERYTHING])
        one(client.get)  # the copy that somebody else rebuilds
        release_claims()
        one(client.get)  # rebuilt
        one(lambda path: client.get(path, headers={"if-none-match": "W/x"}))
        one(lambda path: client.get(f"{path}?livro={self.topic.book.slug}"))
        one(lambda path: client.get(f"{path}?depois=x"))  # never kept
        one(member.get)
        one(member.get)
        with self.settings(PAGE_CACHE=False):
            one(client.get)
        client.options("/debates/")
        assert self.counted() == total

    def test_who_asks_too_often_is_told_so_and_others_are_not(self):
        self.few()
        client = self.client_class()
        answers = [client.get("/debates/") for _number in range(7)]
        statuses = [answer.status_code for answer in answers]
        first = statuses.index(429)
        assert 3 <= first <= 5
        assert set(statuses[first:]) == {429}
        assert all("ETag" in answer for answer in answers[:first])
        refused = answers[-1]
        assert 0 < int(refused["Retry-After"]) <= 60
        assert refused["Cache-Control"] == "no-store"
        assert "ETag" not in refused
        assert "default-src 'none'" in refused["Content-Security-Policy"]
        assert refused["X-Frame-Options"] == "DENY"
        assert SENTENCE in refused.text
        assert 'class="brand"' in refused.text
        assert client.head("/debates/").status_code == 429
        script = client.get("/debates/", headers={"accept": "application/json"})
        assert script.json() == {"error": SENTENCE, "status": 429}
        assert client.get("/debates/", headers={"accept-language": "en"}).text != refused.text
        assert client.get("/").status_code == 200
        other = client.get("/debates/", REMOTE_ADDR="192.0.2.44")
        assert other.status_code == 200
        assert other["ETag"] == answers[0]["ETag"]

    def test_a_refusal_is_not_kept(self):
        self.few()
        client = self.client_class()
        while client.get("/debates/").status_code == 200:
            continue
        with another_process():
            assert self.client.get("/debates/", REMOTE_ADDR="192.0.2.44").status_code == 200
        cache.forget()
        release_claims()
        assert self.client.get("/debates/").status_code == 429
        assert self.client.get("/debates/", REMOTE_ADDR="192.0.2.44").status_code == 200

    def test_a_kept_page_is_counted_by_whoever_serves_it(self):
        """Two processes, one counter; a process that lost Redis counts for itself."""
        self.few()
        client = self.client_class()
        seen = []
        for number in range(8):
            if number % 2:
                with another_process():
                    seen.append(client.get("/debates/").status_code)
            else:
                seen.append(client.get("/debates/").status_code)
        assert 429 in seen
        assert set(seen[seen.index(429) :]) == {429}
        caches["ratelimit"].clear()
        assert client.get("/debates/").status_code == 200

    def test_switched_off_it_counts_nothing(self):
        with self.settings(RATELIMIT_ENABLE=False):
            for _time in range(3):
                self.client.get("/debates/")
        assert self.counted() == 0

    def test_pages_without_a_limit_are_not_counted(self):
        with mock.patch.object(serving, "seconds_to_wait", side_effect=AssertionError) as counting:
            for _time in range(2):
                for path in ("/", "/livros/", self.topic.get_absolute_url()):
                    assert self.client.get(path).status_code == 200
        assert not counting.called
