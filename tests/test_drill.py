"""What the drill makes of what it sees; the drill itself is in tests/faults/test_drill.py."""

from __future__ import annotations

from collections import Counter

import pytest

from core.embedded import procfile
from drills import __main__ as drill
from drills import report, verdict
from drills.client import BROKEN, GOOD, LOST, REFUSED, TIMEOUT, Asked, p95
from drills.faults import FAULTS, NAMES, NOTHING, Fault, Row, count
from drills.ledger import NO, NO_ANSWER, YES, Ledger, word
from drills.sink import Mail
from drills.stage import ROOT
from drills.verdict import Evidence, mails_on_their_way, possible

POST = "/debates/post/7/"


class FakeStage:
    """Answers each statement with the rows that ``tables`` has for a word in it."""

    def __init__(self, **tables: list[tuple]):
        self.tables = tables
        self.known = {"topics": [{"slug": "velho", "views_count": 10}], "at once": "s@x"}

    def sql(self, statement: str) -> list[tuple]:
        return next((rows for name, rows in self.tables.items() if name in statement), [])


class FakeSink:
    def __init__(self, *mails: Mail):
        self._mails = list(mails)

    def mails(self) -> list[Mail]:
        return self._mails


def mail(to: str, message: str, at: float = 1.0, subject: str = "Senha nova no CGBookStore"):
    return Mail(to, subject, message, at)


def seen(ledger: Ledger, *mails: Mail, disturbed=(), **tables) -> Evidence:
    return Evidence(FakeStage(**tables), ledger, FakeSink(*mails), disturbed)


def ledger(*writes: tuple) -> Ledger:
    made = Ledger()
    for write in writes:
        made.add(*write)
    return made


class TestLedger:
    @pytest.mark.parametrize(
        ("kind", "said"),
        [
            (GOOD, YES), (REFUSED, NO_ANSWER), (BROKEN, NO_ANSWER), (TIMEOUT, NO_ANSWER),
            ("status 500", NO_ANSWER), ("status 429", NO), ("status 422", NO), (LOST, NO),
            ("led to /x/", NO),
        ],
    )  # fmt: skip
    def test_what_an_answer_tells_of_a_write(self, kind, said):
        assert word(kind) == said


class TestPosts:
    rows = ("Ensaio resposta 1", 7)

    def wrong(self, kind: str, *rows: tuple, place: str = POST) -> list[str]:
        asked = ledger(("reply", (self.rows[0],), None, kind, place))
        return verdict.replies(seen(asked, debates_debatepost=list(rows)))

    def test_acknowledged_is_there_once(self):
        assert self.wrong(GOOD, self.rows) == []
        assert "stored 0 ×" in self.wrong(GOOD)[0]
        assert "stored 2 ×" in self.wrong(GOOD, self.rows, (self.rows[0], 8))[0]

    def test_it_is_where_the_answer_led(self):
        assert self.wrong(GOOD, self.rows, place=f"{POST}#x") == []
        assert "is at /debates/post/7/" in self.wrong(GOOD, self.rows, place="/debates/post/9/")[0]

    def test_without_an_answer_once_or_not_at_all(self):
        assert self.wrong(TIMEOUT) == self.wrong(TIMEOUT, self.rows, place="") == []
        assert len(self.wrong(TIMEOUT, self.rows, (self.rows[0], 8), place="")) == 1

    def test_refused_is_not_there(self):
        assert self.wrong("status 429") == []
        assert "was refused" in self.wrong("status 429", self.rows, place="")[0]

    def test_what_nobody_asked_for(self):
        assert "nobody asked" in verdict.replies(seen(Ledger(), debates_debatepost=[self.rows]))[0]


class TestLastWord:
    def wrong(self, stored: list[tuple], *values: tuple[object, str]) -> list[str]:
        asked = ledger(*(("vote", (7, 3), value, kind) for value, kind in values))
        return verdict.votes(seen(asked, debates_debatevote=stored))

    def test_the_last_one_counts(self):
        up_down = (1, GOOD), (-1, GOOD)
        assert self.wrong([(7, 3, -1)], *up_down) == []
        assert "is 1, not ['-1']" in self.wrong([(7, 3, 1)], *up_down)[0]
        assert self.wrong([], *up_down)
        assert self.wrong([], (1, GOOD), (0, GOOD)) == []

    def test_one_without_an_answer_may_count_or_not(self):
        last = (1, GOOD), (-1, TIMEOUT)
        assert self.wrong([(7, 3, -1)], *last) == self.wrong([(7, 3, 1)], *last) == []
        assert self.wrong([], *last)

    def test_one_that_was_refused_does_not(self):
        assert self.wrong([(7, 3, 1)], (1, GOOD), (-1, "status 429")) == []
        assert self.wrong([(7, 3, -1)], (1, GOOD), (-1, "status 429"))

    def test_one_that_nobody_gave(self):
        assert "nobody gave it" in self.wrong([(7, 3, 1)])[0]

    def test_what_may_be_stored_before_anything_was_asked(self):
        assert possible([], 0) == {0}


class TestViews:
    def wrong(self, count: int, reads: int, slug: str = "velho") -> list[str]:
        asked = Ledger()
        for _time in range(reads):
            asked.read(slug)
        return verdict.views(seen(asked, debates_debatetopic=[(slug, count)]))

    def test_no_more_than_were_asked_for_and_fewer_are_fine(self):
        assert self.wrong(12, 2) == self.wrong(10, 2) == self.wrong(2, 2, "novo") == []
        assert self.wrong(13, 2) == ["velho counts 3 readings of 2"]


class TestNotices:
    def test_what_the_statements_find_is_said(self):
        assert verdict.notices(seen(Ledger())) == []
        (wrong,) = verdict.notices(seen(Ledger(), unread_count=[(5, 2, 3)]))
        assert wrong == "5 has 2 unread, and the rows say 3"
        (wrong,) = verdict.notices(
            seen(Ledger(), **{"NOT EXISTS (\n        SELECT 1 FROM debates_n": [(7, 3)]})
        )
        assert wrong == "3 follows the debate of reply 7 and was not told"

    def test_a_mail_for_each_notification_of_who_wants_one_at_once(self):
        mails = mail("s@x", "1", subject="Ana respondeu"), mail("s@x", "2", subject="Ana respondeu")
        assert verdict.notice_mails(seen(Ledger(), *mails, debates_notification=[(2,)])) == []
        assert verdict.notice_mails(seen(Ledger(), *mails, debates_notification=[(3,)])) == [
            "s@x was told 3 × and got 2 mails"
        ]


class TestMails:
    def test_each_promised_one_came_and_no_other(self):
        asked = ledger(("reset", ("a@x",), None, GOOD), ("reset", ("b@x",), None, TIMEOUT))
        assert verdict.resets(seen(asked, mail("a@x", "1"))) == []
        assert verdict.resets(seen(asked, mail("a@x", "1"), mail("b@x", "2"))) == []
        assert "'a@x' was acknowledged and is stored 0 ×" in verdict.resets(seen(asked))[0]
        assert verdict.resets(seen(asked, mail("a@x", "1"), mail("a@x", "2")))
        assert verdict.resets(seen(asked, mail("a@x", "1"), mail("c@x", "2")))

    def test_the_same_one_twice_only_where_its_handing_over_was_cut_off(self):
        twice = mail("a@x", "1", 5.0), mail("a@x", "1", 70.0)
        assert verdict.mails_once(seen(Ledger(), twice[0])) == []
        assert verdict.mails_once(seen(Ledger(), *twice, disturbed=[(4, 6)])) == []
        assert verdict.mails_once(seen(Ledger(), *twice)) == ["1 came to a@x 2 ×"]
        assert verdict.mails_once(seen(Ledger(), *twice, disturbed=[(60, 80)]))
        assert verdict.mails_once(seen(Ledger(), *twice, twice[1], disturbed=[(4, 6)]))

    def test_those_on_their_way(self):
        asked = ledger(*(("reset", (name,), None, GOOD) for name in ("a@x", "b@x")))
        now = asked.of("reset")[-1].at
        sink = FakeSink(mail("a@x", "1", now + 9), mail("b@x", "2", now, subject="Outra coisa"))
        assert mails_on_their_way(asked, sink, before=now) == (1, now + 9)
        in_time = FakeSink(mail("a@x", "1", now + 1), mail("b@x", "2", now + 2))
        assert mails_on_their_way(asked, in_time, before=now) == (0, 0.0)
        assert mails_on_their_way(asked, sink, after=now + 1, before=now + 2) == (0, 0.0)


class TestRows:
    def row(self, **changes) -> Row:
        fault = Fault("x", "X", lambda stage: None, excuses=frozenset({BROKEN}))
        row = Row(fault, began=10.0, ended=13.0, watched=12.0, requests=5, site=0.5, background=2.0)
        for name, value in changes.items():
            setattr(row, name, value)
        return row

    def test_errors_that_the_fault_excuses_are_shown_and_not_wrong(self):
        row = self.row(errors=Counter({BROKEN: 2}))
        assert report.cells(row)[2] == "2 broken"
        assert drill.seen_wrong([row]) == []
        row.errors["status 500"] = 1
        assert report.cells(row)[2] == "2 broken, 1 status 500 (!)"
        assert drill.seen_wrong([row]) == ["X: 1 × status 500"]

    def test_one_that_does_not_recover_is_wrong(self):
        for part in ("site", "background"):
            assert drill.seen_wrong([self.row(**{part: None})]) == ["X: did not recover"]
        assert drill.seen_wrong([self.row(requests=0)]) == ["X: nobody asked anything"]
        died = drill.seen_wrong([self.row(died=["worker: AttributeError"])])
        assert died == ["X: it ended by itself: worker: AttributeError"]

    def test_requests_until_the_recovery_and_errors_until_the_next_fault(self):
        row = self.row()
        asked = [
            Asked("home", 9.9, 10.4, GOOD),
            Asked("home", 13.4, 13.6, BROKEN),
            Asked("home", 14.0, 14.1, GOOD),
            Asked("home", 15.0, 15.1, TIMEOUT),
        ]
        count(row, asked)
        assert (row.requests, row.errors) == (2, Counter({BROKEN: 1, TIMEOUT: 1}))
        row.watched = 14.5
        count(row, asked)
        assert row.requests == 3

    def test_p95(self):
        asked = [Asked("home", 0, n / 1000, GOOD) for n in range(1, 101)]
        assert p95(asked) == pytest.approx(96)
        assert p95([]) == 0


class TestFaults:
    def test_each_part_of_the_issue_stops_hangs_and_restarts(self):
        names = set(NAMES) - {NOTHING.name}
        parts = {"redis", "broker", *procfile.commands(ROOT)}
        wanted = {f"{part}-{how}" for part in parts for how in ("stop", "hang", "restart")}
        assert names == wanted | {"postgres-stop", "postgres-restart"}
        assert len(names) == len(FAULTS) - 1

    def test_a_503_is_excused_by_postgres_alone(self):
        for fault in FAULTS:
            assert (REFUSED in fault.excuses) == fault.name.startswith("postgres-"), fault.name

    def test_those_that_may_send_a_mail_twice_are_known(self):
        assert set(NAMES) >= drill.MAY_SEND_TWICE


class TestReport:
    def test_table_and_docs(self, tmp_path):
        row = Row(NOTHING, 0.0, 0.0, 3.0, requests=1200, p95=41.6, site=0.0, background=None)
        text = report.table([row])
        assert text.splitlines()[2] == "| No fault | 1,200 | 0 | 42 | 0 s | not at all (!) |"
        page = tmp_path / "page.md"
        page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
        report.into_docs(text, page)
        assert page.read_text() == f"before\n{report.BEGIN}\n{text}{report.END}\nafter\n"

    @pytest.mark.parametrize(
        ("value", "text"), [(0, "0 s"), (0.04, "0.04 s"), (2.26, "2.3 s"), (61.2, "61 s")]
    )
    def test_seconds(self, value, text):
        assert report.seconds(value) == text

    def test_the_page_has_its_marks(self):
        page = report.DOCS.read_text()
        assert page.index(report.BEGIN) < page.index("| Postgres") < page.index(report.END)


class TestArguments:
    def test_an_unknown_fault_is_refused(self):
        asked = drill.arguments(["somewhere", "--only", "redis-stop,beat-hang"])
        assert [fault.name for fault in asked.faults] == ["beat-hang", "redis-stop"]
        assert drill.arguments(["somewhere", "--quick"]).seconds == drill.QUICK_SECONDS
        with pytest.raises(SystemExit):
            drill.arguments(["somewhere", "--only", "moon-stop"])
