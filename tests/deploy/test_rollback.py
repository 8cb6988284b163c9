"""Going back from one of the owner's phases by a variable: the site starts and serves with each, and all."""

from __future__ import annotations

import re

import pytest
import redis
from django.contrib.sessions.models import Session

from core.models import OutgoingMail
from debates.models import DebatePost
from tests.conventions import tree
from tests.factories import PASSWORD, make_post, make_topic, make_user
from tests.faults.traffic import Member
from tests.servers import web_server

NO_VARIABLE = {
    "1 dependencies",
    "3 queries",
    "6 indexes",
    "8 validation",
    "4 Celery: one worker for all",
}


def table() -> dict[str, dict[str, str]]:
    """The phases of docs/operations.md and the variables that each row sets."""
    text = tree.read("docs/operations.md").partition("## Going back")[2].partition("\n## ")[0]
    rows = re.findall(r"(?m)^\| (\d [^|]+) \| ([^|]+) \|", text)
    return {name: dict(re.findall(r"`([A-Z_]+)=([^`]*)`", words)) for name, words in rows}


PHASES = table()
SWITCHES = {name: words for name, words in PHASES.items() if words}


def test_the_table_has_every_phase():
    assert {name[0] for name in PHASES} == set("12345678")
    assert set(PHASES) - set(SWITCHES) == NO_VARIABLE
    known = re.findall(r"(?m)^#?([A-Z_]+)=", tree.read(".env.example"))
    assert {variable for words in SWITCHES.values() for variable in words} <= set(known)


class Visit:
    """Somebody reads, logs in, replies, votes, asks for a new password and leaves."""

    def __init__(self):
        self.author, self.topic = make_user(password=PASSWORD), make_topic()
        self.post = make_post(self.topic)
        self.page = self.topic.get_absolute_url()

    def begin(self, address: str) -> Member:
        member = Member(address)
        for path in ("/", "/debates/", self.page, "/livros/", "/busca/?q=dom"):
            for _time in range(2):
                assert member.get(path).status == 200, path
        assert member.enter(self.author.username).status == 302
        assert member.is_member
        assert member.reply(self.page, "Voltamos atrás.").status == 302
        assert "Voltamos atrás." in member.get(self.page).text
        assert member.vote(self.post.pk, 1).status == 302
        return member

    def end(self, member: Member) -> None:
        assert member.leave().status == 302
        assert not member.is_member
        asked = member.post("/conta/senha/nova/", email=self.author.email)
        assert asked.status == 302, asked


@pytest.mark.parametrize("name", [*SWITCHES, "all of them"])
def test_the_site_serves_with_it(transactional_db, name):
    everything = {k: v for words in SWITCHES.values() for k, v in words.items()}
    words = SWITCHES.get(name, everything)
    visit = Visit()
    with web_server(**words) as address:
        member = visit.begin(address)
        if "SESSION_ENGINE" in words:
            assert Session.objects.filter(pk=member.cookies["sessionid"]).exists()
        if words.get("RATELIMIT_ENABLE") == "false":
            assert {Member(address).get("/debates/").status for _n in range(70)} == {200}
        if words.get("PAGE_CACHE") == "false":
            assert "Age" not in Member(address).get(visit.page).headers
        visit.end(member)
    assert DebatePost.objects.filter(content="Voltamos atrás.").count() == 1
    # whoever carries it away: the mail is in its row
    assert OutgoingMail.objects.filter(to=visit.author.email).count() == 1


def test_without_a_switch_the_limits_hold(transactional_db):
    """So that the 70 readers above prove something."""
    with web_server() as address:
        assert 429 in {Member(address).get("/debates/").status for _n in range(70)}


def test_with_nobody_at_the_broker_nothing_is_queued(transactional_db, settings):
    (words,) = [words for words in SWITCHES.values() if "CELERY_BROKER_URL" in words]
    visit = Visit()  # whose rows this process queues, at the broker that is there
    with redis.Redis.from_url(settings.CELERY_BROKER_URL) as broker:
        before = {name: broker.llen(name) for name in ("critical", "default", "bulk")}
        with web_server(**words) as address:
            visit.end(visit.begin(address))
        assert {name: broker.llen(name) for name in before} == before
