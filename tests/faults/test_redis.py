"""A Redis that is gone, hangs, is full or slow, and comes back with what it knew before."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from django.conf import settings

from core.sessions import CACHED_SECONDS
from tests.factories import PASSWORD, make_post, make_topic, make_user
from tests.servers import web_server

from .own_redis import OwnRedis, SlowLine, own_redis
from .servers import wait_for
from .traffic import Member, Traffic, p95

SETTLED_SECONDS = 1.5  # three failures open the breaker, 250 ms each at the most
KNOWN_SECONDS = 3.0  # a probe every two seconds, and a second of the process' own copies
OTHERS_SECONDS = 2.0  # when everybody sees what somebody wrote
GENEROUS = {f"RATE_{name.upper()}": "100000/h,10000/m" for name in settings.RATES}


@dataclass
class Fault:
    """How Redis fails and comes back; whether it then still holds what it held before."""

    begin: Callable[[OwnRedis, SlowLine], None]
    end: Callable[[OwnRedis, SlowLine], None]
    keeps_all: bool = False
    is_behind_line: bool = False


def be_slow(_own: OwnRedis, line: SlowLine) -> None:
    line.delay = 0.3


def be_fast(_own: OwnRedis, line: SlowLine) -> None:
    line.delay = 0.0


FAULTS = {
    "refused": Fault(lambda own, _: own.kill(), lambda own, _: own.start(), keeps_all=True),
    "hung": Fault(lambda own, _: own.hang(), lambda own, _: own.go_on()),
    "full": Fault(lambda own, _: own.fill(), lambda own, _: own.make_room()),
    "slow": Fault(be_slow, be_fast, is_behind_line=True),
}


class Site:
    """Two web processes on the test's database and one Redis."""

    def __init__(self, own: OwnRedis, addresses: list[str]):
        self.own, (self.first, self.second) = own, addresses
        self.addresses = addresses
        self.names = [make_user(password=PASSWORD).username for _n in range(7)]
        self.quiet, self.busy = make_topic(), make_topic()
        self.post = make_post(self.busy)
        self.page = self.quiet.get_absolute_url()
        book = self.quiet.book.get_absolute_url()
        self.paths = [self.page, self.busy.get_absolute_url(), "/debates/", "/", book, "/livros/"]

    def traffic(self) -> Traffic:
        return Traffic(
            self.addresses,
            paths=self.paths,
            topic=self.busy.get_absolute_url(),
            post_id=self.post.pk,
            usernames=self.names[:3],
        )

    def member(self, number: int, address: str) -> Member:
        """One of the members that the traffic leaves alone, logged in and known to Redis."""
        member = Member(address)
        answer = member.enter(self.names[3 + number])
        assert answer.status == 302, answer
        assert member.is_member
        return member

    def everyone_reads(self, words: str, reader: Member) -> bool:
        """Whether strangers and a member of both processes are shown ``words``, each time."""
        texts = []
        for address in self.addresses * 4:
            for visitor in (Member(address), reader.copy(address)):
                answer = visitor.get(self.page)
                assert answer.status == 200, answer
                texts.append(answer.text)
        return all(words in text for text in texts)

    def wait_until_everyone_reads(self, words: str, reader: Member) -> None:
        """As long as everybody else may wait for what somebody wrote."""
        deadline = time.monotonic() + OTHERS_SECONDS
        while not self.everyone_reads(words, reader):
            assert time.monotonic() < deadline, f"somebody is not shown {words}"

    def kept_pages(self) -> list[bytes]:
        """What Redis holds of the quiet debate's page, for strangers and for members."""
        with contextlib.closing(self.own.room("pages")) as client:
            keys = [key for key in self.own.keys("pages", self.page) if b"rebuild:" not in key]
            return [value for value in client.mget(keys) if value] if keys else []


@contextlib.contextmanager
def site(own: OwnRedis, url: str, **changes: str) -> Iterator[Site]:
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(2) as pool:

        def start(_number: int) -> str:
            return stack.enter_context(web_server(REDIS_URL=url, **GENEROUS, **changes))

        yield Site(own, list(pool.map(start, range(2))))


def a_whole_visit(site: Site, address: str, words: str) -> None:
    """Somebody logs in, reads, replies, votes and leaves, and each of it is so afterwards."""
    visitor = Member(address)
    assert visitor.enter(site.names[6]).status == 302
    assert visitor.is_member
    assert visitor.get(site.page).status == 200
    assert visitor.reply(site.page, words).status == 302
    assert words in visitor.get(site.page).text  # at once, for who wrote it
    assert visitor.vote(site.post.pk, 1).status == 302
    assert visitor.leave().status == 302
    assert not visitor.is_member


def everything_goes_on(here: Site, traffic: Traffic, reader: Member) -> None:
    """Visits to both processes succeed, soon everybody sees them, and hardly anybody waits."""
    begun = time.monotonic()
    a_whole_visit(here, here.first, "Escrito durante a falta, no primeiro.")
    a_whole_visit(here, here.second, "Escrito durante a falta, no segundo.")
    for words in ("no primeiro.", "no segundo."):
        here.wait_until_everyone_reads(words, reader)
    traffic.wait_for(200)
    asked = traffic.since(begun)
    assert {one.what for one in asked} >= {"read", "reply", "vote", "log in", "log out"}
    assert p95(asked) < 0.5


def redis_answers_again(here: Site, words: str, reader: Member) -> None:
    """Pages with ``words`` are kept anew, readings are counted, and visits succeed."""
    wait_for(
        lambda: (
            here.everyone_reads(words, reader)
            and [words.encode() in page for page in here.kept_pages()] == [True, True]
        ),
        "an outdated page is kept, or none",
    )
    wait_for(lambda: here.own.keys("ratelimit", "readings"), "nobody counts readings")
    a_whole_visit(here, here.first, "Escrito depois da falta.")


def the_logout_holds(here: Site, thief: Member, *, is_copy_back: bool) -> None:
    """What Redis still knows of the session dies within a minute, and then it is over."""
    key = thief.cookies[settings.SESSION_COOKIE_NAME]
    copies = here.own.keys("sessions", key)
    assert copies or not is_copy_back
    with contextlib.closing(here.own.room("sessions")) as client:
        for copy in copies:
            assert 0 < client.ttl(copy) <= CACHED_SECONDS == 60
            client.delete(copy)  # what that minute does
    for address in here.addresses:
        assert not thief.copy(address).is_member


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", FAULTS)
def test_everything_goes_on_and_nothing_outdated_comes_back(name):
    fault = FAULTS[name]
    with (
        own_redis() as own,
        contextlib.closing(SlowLine(own.url)) as line,
        site(own, line.url if fault.is_behind_line else own.url) as here,
    ):
        reader, leaver, writer = (here.member(number, here.first) for number in range(3))
        thief = leaver.copy(here.second)
        assert own.keys("sessions", thief.cookies[settings.SESSION_COOKIE_NAME])
        assert here.everyone_reads("Uma abertura.", reader)
        with here.traffic() as traffic:
            traffic.wait_for(60)
            assert len(here.kept_pages()) == 2  # what must not be shown again
            own.ask.save()
            fault.begin(own, line)
            time.sleep(SETTLED_SECONDS)
            everything_goes_on(here, traffic, reader)
            assert leaver.at(here.second).leave().status == 302
            assert not leaver.is_member
        assert traffic.odd == []
        assert writer.reply(here.page, "Escrito no fim da falta.").status == 302
        fault.end(own, line)
        time.sleep(KNOWN_SECONDS)
        assert here.everyone_reads("Escrito no fim da falta.", reader)
        redis_answers_again(here, "Escrito no fim da falta.", reader)
        the_logout_holds(here, thief, is_copy_back=fault.keeps_all)


@pytest.mark.django_db(transaction=True)
def test_a_full_redis_hides_nothing_from_a_process_that_only_reads():
    """It could read its old pages for ever; counting readings is all it writes."""
    with own_redis() as own, site(own, own.url) as here:
        writer, stranger = here.member(0, here.first), Member(here.second)
        assert "Uma abertura." in stranger.get(here.page).text
        wait_for(lambda: own.keys("ratelimit", "readings"), "nobody counts readings")
        own.fill()
        assert writer.reply(here.page, "Ainda cabe.").status == 302
        stranger.get(here.page)
        time.sleep(OTHERS_SECONDS)
        assert "Ainda cabe." in stranger.get(here.page).text


@pytest.mark.django_db(transaction=True)
def test_a_single_write_that_redis_missed_is_made_good_by_itself():
    """Sessions and limits are elsewhere: the vote is all that its process tries to tell."""
    elsewhere = {
        "REDIS_SESSIONS_URL": settings.REDIS_SESSIONS_URL,
        "REDIS_LIMITS_URL": settings.REDIS_LIMITS_URL,
    }
    with own_redis() as own, site(own, own.url, **elsewhere) as here:
        voter, page = here.member(0, here.first), here.busy.get_absolute_url()
        stranger = Member(here.second)
        stranger.agent = ""  # nothing is counted
        assert "1 ponto<" not in stranger.get(page).text
        own.ask.save()
        own.kill()
        assert voter.vote(here.post.pk, 1).status == 302
        own.start()
        time.sleep(KNOWN_SECONDS)
        assert "1 ponto<" in stranger.get(page).text


@pytest.mark.django_db(transaction=True)
def test_limits_hold_in_the_process_while_redis_is_gone():
    topic, user = make_topic(), make_user(password=PASSWORD)
    with own_redis() as own, web_server(REDIS_URL=own.url) as address:
        own.kill()
        member, stranger = Member(address), Member(address)
        assert member.enter(user.username).status == 302
        stranger.get("/conta/entrar/")
        page = topic.get_absolute_url()
        for row, ask in (
            ("login", lambda: stranger.post("/conta/entrar/", username="x", password="y")),
            ("sign_up", lambda: stranger.post("/conta/criar/", username="x")),
            ("password_reset", lambda: stranger.post("/conta/senha/nova/", email="x")),
            ("create_post", lambda: member.reply(page, "")),
            ("debates_list", lambda: Member(address).get("/debates/")),
        ):
            most = int(settings.RATES[row].burst.partition("/")[0])
            # a window may end meanwhile, and the member's own login was one
            answers = [ask() for _time in range(2 * most + 1)]
            statuses = [answer.status for answer in answers]
            assert 429 in statuses, row
            assert set(statuses) <= {200, 422, 429}, row
            assert statuses.index(429) >= most - 1, row
            refusal = answers[statuses.index(429)]
            assert int(refusal.headers["Retry-After"]) > 0
            assert refusal.headers["Cache-Control"] == "no-store"
