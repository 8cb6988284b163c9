"""What the load tests make of what they see; the load itself is ``dev.py bench``."""

from __future__ import annotations

import ast
import contextlib
import json
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import django
import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

import dev
from accounts.models import User
from benchmarks import __main__ as bench
from benchmarks import crowds, prepare, reads, report, server, writes
from benchmarks.stage import USUAL, Options, Stage, count_statements
from benchmarks.verdict import MET, MISSED, NOT_MEASURED, Check, Row, exit_code
from benchmarks.wrk import ADDRESSES, LUA, Load, NotMeasured, Wrk, parse
from debates.models import DebatePost, DebateVote
from debates.seeding import running

BENCH = Path(bench.__file__).parent
SAID = (
    'BENCH {"requests": 400, "seconds": 2.0, "bytes": 800000, "p50": 1.5, "p95": 3.0, "p99": 4.0,'
    ' "longest": 9.0, "errors": {"connect": 1, "read": 0, "write": 0, "status": 2, "timeout": 0}}'
)
GOOD = Row("a", "A", "≥ 1", [Check("ratio", 1.2, least=1)])
BAD = Row("b", "B", "≥ 1", [Check("ratio", 0.9, least=1), Check("errors", 0, most=0)])
LOST = Row("c", "C", "≥ 1", [Check("ratio", 1.2, least=1)], problem="no wrk")


def fake_wrk(folder: Path, says: str = SAID, code: int = 0) -> str:
    """A program that keeps what it was asked and says ``says``."""
    path = folder / "wrk"
    path.write_text(
        f"#!/bin/sh\necho \"$@\" >> {folder}/asked\ncat <<'END'\n{says}\nEND\nexit {code}\n"
    )
    path.chmod(0o755)
    return str(path)


class TestWrk:
    def test_its_line_is_read(self):
        load = parse(f"Running 2s test\n  Latency 1.5ms\n{SAID}\nlater words")
        assert (load.rate, load.failed, load.size) == (200, 3, 2000)
        assert (load.p50, load.p95, load.p99, load.longest) == (1.5, 3, 4, 9)

    def test_without_the_line_its_words_are_the_reason(self):
        with pytest.raises(NotMeasured, match="unable to connect"):
            parse("unable to connect to 127.0.0.1:1 Connection refused\n")

    def test_an_empty_run_divides_by_nothing(self):
        load = parse(SAID.replace("400", "0").replace("2.0", "0.0"))
        assert (load.rate, load.size) == (0, 0)

    def test_runs_share_no_address_and_no_write(self, tmp_path):
        wrk = Wrk(tmp_path, fake_wrk(tmp_path))
        for _ in range(2):
            wrk("http://127.0.0.1:1", seconds=2, mode="vote", posts="posts.tsv", threads=4)
        first, second = (
            dict(re.findall(r"([a-z]+)=(\S*)", line))
            for line in (tmp_path / "asked").read_text().splitlines()
        )
        assert int(second["address"]) - int(first["address"]) == ADDRESSES
        assert int(second["first"]) - int(first["first"]) > ADDRESSES
        assert first["posts"] == str(tmp_path / "posts.tsv")
        assert (first["members"], first["mode"], first["threads"]) == ("", "vote", "4")

    def test_one_that_is_missing_is_a_row_not_measured(self, tmp_path):
        wrk = Wrk(tmp_path, "")
        stage = Stage(tmp_path, {}, Options(USUAL), lambda _: None)
        stage.log.write_text("")
        row = bench.one(stage, "topic", lambda: wrk("http://127.0.0.1:1", seconds=1))
        assert row.verdict == NOT_MEASURED
        assert "apt install wrk" in row.measured
        assert exit_code([GOOD, row]) == 1

    def test_every_mode_and_argument_is_known_to_the_script(self, tmp_path):
        lua = LUA.read_text()
        words = Wrk(tmp_path, "wrk").words("http://127.0.0.1:1", seconds=1)
        told = {word.partition("=")[0] for word in words[words.index("--") + 1 :]}
        assert told == set(re.findall(r"^--   (\S+)  ", lua, re.MULTILINE))
        assert told >= set(re.findall(r"given\.(\w+)", lua))
        modes = {row[2] for row in writes.WRITES.values()} | {crowds.mixed(1)["mode"]}
        assert modes | {"read"} <= set(re.findall(r'given\.mode [=~]= "([\w-]+)"', lua)) | {"read"}

    def test_the_script_says_what_is_read(self):
        said = re.findall(r'"(\w+)": %', LUA.read_text())
        assert set(said) == {*Load.__annotations__, *json.loads(SAID[6:])["errors"]} - {"errors"}


class TestVerdict:
    @pytest.mark.parametrize(
        ("check", "met"),
        [
            (Check("", 1.0, least=1.0), True),
            (Check("", 0.999, least=1.0), False),
            (Check("", 60, most=60), True),
            (Check("", 60.1, most=60), False),
            (Check("", 1e9), True),
            (Check("", 3, least=1, most=2), False),
        ],
    )
    def test_bounds(self, check, met):
        assert check.met is met

    def test_of_rows(self):
        assert [row.verdict for row in (GOOD, BAD, LOST)] == [MET, MISSED, NOT_MEASURED]
        assert Row("d", "D", "").verdict == NOT_MEASURED

    def test_the_number_that_misses_is_marked(self):
        assert BAD.measured == "ratio 0.90 (!); errors 0"
        assert LOST.measured == "not measured: no wrk"

    @pytest.mark.parametrize(
        ("value", "text"),
        [(0, "0"), (0.0048, "0.0048"), (0.2, "0.20"), (9, "9"), (60.4, "60"), (12345, "12,345")],
    )
    def test_numbers_are_short(self, value, text):
        assert str(Check("", value)) == text

    def test_exit_code(self):
        assert exit_code([GOOD, GOOD]) == 0
        assert exit_code([GOOD, BAD]) == 1
        assert exit_code([GOOD, LOST]) == 1
        assert exit_code([]) == 1

    def test_a_run_for_comparison_is_not_judged_but_must_be_measured(self):
        assert exit_code([GOOD, BAD], judge=False) == 0
        assert exit_code([GOOD, LOST], judge=False) == 1

    def test_every_target_of_the_issue_has_its_row(self):
        rows = Counter(bench.NAMES)
        assert set(rows.values()) == {1}
        assert {name: row[3] for name, row in reads.RATIOS.items()} == {
            "topic": 1.0, "book": 1.0, "home": 1.0, "list": 0.4, "list-member": 0.25, "topic-member": 0.2,
        }  # fmt: skip
        assert {name: row[4:] for name, row in writes.WRITES.items()} == {
            "reply": (150, 60), "vote": (250, 60), "vote-one": (50, None),
        }  # fmt: skip


class TestReport:
    run = report.as_json([GOOD, BAD], {"posts": 9, "seconds": 8, "rounds": 5})

    def test_table(self):
        lines = report.table(self.run).splitlines()
        assert lines[0] == "| page | target | measured | verdict |"
        assert lines[3] == "| B | ≥ 1 | ratio 0.90 (!); errors 0 | missed |"

    def test_the_owners_two_columns(self):
        before = report.as_json([Row("a", "A", "≥ 1", [Check("ratio", 0.1)])], {})
        lines = report.table(self.run, before).splitlines()
        assert lines[0] == "| page | target | before | measured | verdict |"
        assert lines[2] == "| A | ≥ 1 | ratio 0.10 | ratio 1.20 | met |"
        assert lines[3].split(" | ")[2] == "not run"

    def test_another_amount_of_data_is_not_set_beside(self):
        smaller = {**self.run, "conditions": {**self.run["conditions"], "posts": 1}}
        assert report.comparable(self.run, self.run)
        assert not report.comparable(self.run, smaller)

    def test_files(self, tmp_path, monkeypatch):
        monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
        monkeypatch.setattr(report, "plot", lambda run, path, before: path.touch())
        facts = self.run["conditions"]
        for _ in range(2):
            assert "| before |" not in report.write([BAD], facts, label="before")
        assert "| before |" in report.write([GOOD, BAD], facts, label="after")
        names = {path.name for path in (tmp_path / "results").iterdir()}
        assert names == {f"{a}.{b}" for a in ("before", "after") for b in ("json", "md", "png")}
        assert json.loads((tmp_path / "results/after.json").read_text()) == self.run


class TestYardstick:
    def test_its_middleware_is_that_of_startproject(self):
        template = Path(django.__file__).parent / "conf/project_template/project_name"
        text = (template / "settings.py-tpl").read_text()
        (theirs,) = re.findall(r"^MIDDLEWARE = (\[.*?\])", text, re.MULTILINE | re.DOTALL)
        code = (BENCH / "bare/settings.py").read_text()
        (ours,) = re.findall(r"^MIDDLEWARE = (\[.*?\])", code, re.MULTILINE | re.DOTALL)
        assert ast.literal_eval(ours) == ast.literal_eval(theirs)

    def test_it_answers_as_many_bytes_as_asked(self):
        code = (
            "from benchmarks.bare import wsgi; from django.test import Client;"
            "client = Client(headers={'host': '127.0.0.1'});"
            "print([len(client.get(f'/bytes/{n}').content) for n in (1, 12345)])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=BENCH.parent, capture_output=True, text=True
        )
        assert done.stdout.strip() == "[1, 12345]", done.stderr

    def test_its_server_has_the_flags_of_the_sites(self):
        site, bare = server.command(server.SITE), server.command(server.BARE)
        assert bare == site.replace(server.SITE, server.BARE) != site
        assert "--blocking-threads" in bare


class TestStatements:
    def test_transaction_control_is_left_out(self):
        log = (
            "2026 [7] LOG:  statement: BEGIN\n2026 [7] LOG:  statement: SELECT 1\n"
            "2026 [7] LOG:  statement: SAVEPOINT x\n2026 [7] LOG:  statement: UPDATE a\n\tSET b = 1\n"
            "2026 [7] LOG:  statement: COMMIT;\n2026 [7] LOG:  checkpoint starting\n"
        )
        assert count_statements(log) == 2
        assert count_statements("") == 0


class TestComplaints:
    def test_refusals_and_errors_since_then(self, tmp_path):
        stage = Stage(tmp_path, {}, Options(USUAL), lambda _: None)
        line = '{{"level":"INFO","message":"{0}","status":{1},"ms":404.0,"queries":500}}'.format
        old = line("GET /old/", 500) + "\n"
        new = [
            line("GET / 200", 200),
            line("GET /429/ 302", 302),
            line("POST /a/ 429", 429),
            '{"level":"ERROR","logger":"django.request","message":"Internal Server Error: /"}',
        ]
        stage.log.write_text(old + "\n".join(new) + "\n")
        assert stage.complaints(len(old)) == new[2:]
        assert stage.complaints(stage.log_bytes) == []


class TestCrowd:
    def test_so_many_answers_are_asked_for(self):
        dice = random.Random(3)

        def pages(seconds: float) -> int:
            count, now = 0, dice.uniform(5, 15)
            while now < seconds:
                count, now = count + 1, now + dice.uniform(5, 15)
            return count

        seen = sum(pages(60) for _ in range(4000))
        assert seen == pytest.approx(crowds.expected(4000, 60), rel=0.02)

    def test_too_few_open_files_are_said(self, monkeypatch):
        monkeypatch.setattr(crowds.resource, "getrlimit", lambda _: (1024, 4096))
        with pytest.raises(NotMeasured, match="only 4096 files"):
            crowds._open_files(10_500)


class TestLocustfile:
    def test_journeys(self):
        tree = ast.parse((BENCH / "locustfile.py").read_text())
        (reader,) = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        tasks = {
            node.name
            for node in reader.body
            if isinstance(node, ast.FunctionDef)
            and any(isinstance(mark, ast.Call) and mark.func.id == "task" for mark in node.decorator_list)
        }  # fmt: skip
        assert tasks == {"browse", "read", "log_in", "reply", "vote"}


class TestArguments:
    def test_the_usual_run_is_that_of_the_issue(self):
        usual = bench.options(bench.arguments(["somewhere"]))
        assert (usual.size.posts, usual.rounds, usual.crowd) == (100_000, 5, 10_000)
        assert (usual.crowd_seconds, usual.memory_requests[1]) == (60, 100_000)
        assert bench.options(bench.arguments(["somewhere", "--full"])).size.posts == 2_000_000
        assert Options(usual.size) == usual

    def test_an_unknown_row_is_refused(self, capsys):
        assert bench.arguments(["somewhere", "--only", "cold,memory"]).names == ["cold", "memory"]
        with pytest.raises(SystemExit) as ended:
            bench.arguments(["somewhere", "--only", "cold,warm"])
        assert ended.value.code == 2
        assert "no row warm" in capsys.readouterr().err

    def test_the_door_hands_them_on_and_returns_the_code(self, tmp_path, monkeypatch):
        asked = []
        pair = contextlib.nullcontext((tmp_path, {}))
        monkeypatch.setattr(dev, "set_up", asked.append)
        monkeypatch.setattr(dev, "own_pair", lambda durable: asked.append(durable) or pair)
        monkeypatch.setattr(dev, "on_signals", lambda answer: None)
        monkeypatch.setattr(dev, "finish", lambda words, env: asked.append(words[2:]) or 1)
        assert dev.main(["bench", "--quick", "--only", "topic"]) == 1
        words = ["benchmarks", tmp_path, "--quick", "--only", "topic"]
        assert asked == ["requirements-bench.txt", True, words]


@pytest.mark.django_db
class TestPrepare:
    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.setattr(prepare, "POSTS", 30)
        plan = running.Plan(topics=40, posts=900, users=260, votes=500)
        running.seed(plan, lambda *_: None)
        prepare.members(tmp_path)
        prepare.targets(tmp_path, random.Random(1))
        prepare.pages(tmp_path, random.Random(1))
        return tmp_path

    def rows(self, folder, name):
        return [line.split("\t") for line in (folder / name).read_text().splitlines()]

    def test_members_are_logged_in_and_may_write(self, folder):
        members = self.rows(folder, "members.tsv")
        assert len(members) == 60
        (post, author), *_ = self.rows(folder, "posts.tsv")
        pk, session, token = next(member for member in members if member[0] != author)
        client = Client(enforce_csrf_checks=True)
        client.cookies[settings.SESSION_COOKIE_NAME] = session
        client.cookies["csrftoken"] = token
        assert "/conta/sair/" in client.get("/").content.decode()
        answer = client.post(
            f"/debates/post/{post}/votar/",
            {"value": "1", "csrfmiddlewaretoken": token},
            headers={"HX-Request": "true"},
        )
        assert answer.status_code == 200
        assert DebateVote.objects.filter(post_id=post, user_id=pk, value=1).exists()
        path = self.rows(folder, "topics.tsv")[0][0]
        posts = DebatePost.objects.count()
        reply = {
            "content": "Sim.",
            "spoiler_percent": "0",
            "parent": "",
            "csrfmiddlewaretoken": token,
        }
        answer = client.post(f"{path}responder/", reply)
        assert (answer.status_code, DebatePost.objects.count()) == (302, posts + 1)

    def test_nobody_voted_on_what_is_voted_on(self, folder):
        posts = [int(pk) for pk, _author in self.rows(folder, "posts.tsv")]
        assert len(posts) == 30 + prepare.ONE_POSTS
        assert not DebateVote.objects.filter(post__in=posts).exists()

    def test_every_page_is_there_and_is_a_page(self, folder):
        paths = json.loads((folder / "pages.json").read_text())["paths"]
        needed = {row[1] for row in reads.RATIOS.values()} | {"long", "ordinary", "mixed"}
        assert set(paths) == needed
        for name, found in paths.items():
            assert found == [row[0] for row in self.rows(folder, f"{name}.tsv")]
            assert Client().get(found[0]).status_code == 200

    def test_logins_open_the_door(self, folder):
        name, password = self.rows(folder, "logins.tsv")[-1]
        assert User.objects.get(username=name).check_password(password)
        assert len(self.rows(folder, "logins.tsv")) == 200

    def test_the_added_indexes_go(self):
        assert {"idx_post_topic_date", "topic_live_recent"} <= set(prepare.drop_indexes())
        with connection.cursor() as cursor:
            cursor.execute("SELECT indexname FROM pg_indexes WHERE tablename LIKE 'debates_%'")
            left = {name for (name,) in cursor.fetchall()}
        assert not left & {"idx_post_topic_date", "topic_live_recent"}
        assert "vote_once_per_post" in left
