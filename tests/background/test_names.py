"""One story of a reader with a real server, worker and mail server, and what is written of it."""

from __future__ import annotations

import json
import os
import re
import signal
import time
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from accounts.models import User
from core import heartbeat, mail
from core.queues import CRITICAL, DEFAULT
from debates.models import DebateTopic
from tests.factories import make_book, make_topic
from tests.faults.servers import wait_for
from tests.faults.visitor import Visitor
from tests.servers import web_server

from .processes import worker

TOKEN = {"Authorization": "Bearer uma-ficha-de-teste"}
TYPED = {
    "username": "capituescreve",
    "email": "capitu.escreve@example.com",
    "password": "olhos-de-ressaca-1899",
    "search": "dissimuladas",
    "title": "O seminarista mentiu",
    "description": "Escobar nadava todas as manhãs",
    "content": "Ninguém acredita no narrador",
    "wrong": "uma-senha-errada-77",
}
ADDRESS = "203.0.113.77"


class Reader(Visitor):
    agent = "NavegadorDaCapitu/1.0"
    headers = {"X-Forwarded-For": ADDRESS}


def lines_of(log: Path) -> list[dict]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


def numbers(address: str) -> dict[str, float]:
    request = urllib.request.Request(f"{address}/metrics", headers=TOKEN)  # noqa: S310  our own
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  the same
        families = text_string_to_metric_families(answer.read().decode())
    return {
        " ".join(
            [sample.name, *(value for _name, value in sorted(sample.labels.items()))]
        ): sample.value
        for family in families
        for sample in family.samples
    }


def live_a_day(reader: Reader, sink) -> str:
    """Everything a reader types; returns the name of the request that asked for the mail."""
    book, topic = make_book(), make_topic()
    who = {name: TYPED[name] for name in ("username", "email")}
    reader.get("/conta/criar/")
    answer = reader.post("/conta/criar/", **who, password=TYPED["password"])
    assert answer.status == 302, answer
    reader.post("/conta/sair/")
    reader.get("/conta/entrar/")
    wrong = reader.post("/conta/entrar/", username=TYPED["email"], password=TYPED["wrong"])
    assert wrong.status in {200, 422}
    reader.post("/conta/entrar/", username=TYPED["username"], password=TYPED["password"])
    assert reader.get(f"/busca/?q={TYPED['search']}").status == 200
    assert reader.get(f"/leitores/{TYPED['username']}/").status == 200
    assert reader.get(f"/leitores/{TYPED['username']}/nada/").status == 404
    fields = {"title": TYPED["title"], "description": TYPED["description"], "spoiler_percent": 0}
    answer = reader.post("/debates/novo/", book=book.slug, **fields)
    assert answer.status in {200, 302, 422}, answer
    answer = reader.post(
        f"/debates/topico/{topic.slug}/responder/", content=TYPED["content"], spoiler_percent=0
    )
    assert answer.status == 302, answer
    reader.post("/conta/sair/")
    reader.get("/conta/senha/nova/")
    asked = reader.post("/conta/senha/nova/", email=TYPED["email"])
    assert asked.status == 302, asked
    sink.wait_for(1)
    return str(asked.headers["X-Request-ID"])


def test_a_request_is_followed_into_its_task_and_nothing_personal_is_written(
    queues_of_ones_own, sink, tmp_path
):
    web_log, worker_log = tmp_path / "web.log", tmp_path / "worker.log"
    shared = {"METRICS_DIR": str(tmp_path / "metrics"), "EMAIL_URL": sink.url}
    everything = {"SLOW_QUERY_MS": "0", "SLOW_REQUEST_MS": "0", "LOG_LEVEL": "DEBUG"}
    site = {"METRICS_TOKEN": TOKEN["Authorization"].partition(" ")[2], "TRUSTED_PROXY_HOPS": "1"}
    with (
        worker(worker_log, CRITICAL, DEFAULT, **shared, **everything),
        web_server(web_log, WEB_WORKERS="2", **site, **shared, **everything) as address,
    ):
        name = live_a_day(Reader(address), sink)
        wait_for(lambda: "mail sent" in worker_log.read_text(), "no word of the mail")
        sent = [line for line in lines_of(worker_log) if line["message"].startswith("mail sent")]
        assert [(line["request_id"], line["task"]) for line in sent] == [
            (name, "core.tasks.send_mail")
        ]

        counted = "cgbookstore_tasks_total done critical core.tasks.send_mail"
        wait_for(lambda: numbers(address).get(counted) == 1, "the task was not counted")
        before = numbers(address)
        posted = [
            key
            for key in before
            if key.startswith("cgbookstore_requests_total 302 debates:create_post")
        ]
        assert [before[key] for key in posted] == [1]
        assert before["cgbookstore_task_seconds_count critical core.tasks.send_mail"] == 1
        assert before["cgbookstore_processes"] >= 3
        heartbeat.beat(CRITICAL)
        assert 0 <= numbers(address)["cgbookstore_heartbeat_age_seconds critical"] < 60

        kill_the_web_workers(tmp_path / "metrics")
        wait_for(lambda: answers(address), "no web worker came back")
        after = numbers(address)
        fell = {
            key: (value, after.get(key, 0))
            for key, value in before.items()
            if key.split()[0].endswith(("_total", "_bucket", "_count"))
            and after.get(key, 0) < value
        }
        assert fell == {}

    assert User.objects.filter(username=TYPED["username"]).exists()
    assert DebateTopic.objects.exists()
    time.sleep(0.3)
    text = web_log.read_text() + worker_log.read_text()
    assert "core.queries.slow" in text
    assert "core.requests.slow" in text
    words = sink.mails[0].get_body(("plain",)).get_content()
    token = re.search(r"/conta/senha/[^/]+/([^/]+)/", words)[1]
    for secret in (*TYPED.values(), ADDRESS, Reader.agent, token):
        assert secret not in text, [line for line in text.splitlines() if secret in line][:2]


def kill_the_web_workers(metrics: Path) -> None:
    """Every process that counted and serves pages, with SIGKILL."""
    for path in metrics.glob("*.lock"):
        pid = path.stem.split("-")[-2] if path.stem != "archive" else ""
        command = Path(f"/proc/{pid}/cmdline")
        if pid and command.exists() and b"granian" in command.read_bytes():
            os.kill(int(pid), signal.SIGKILL)


def answers(address: str) -> bool:
    try:
        return bool(numbers(address))
    except OSError:
        return False


def test_what_was_counted_in_the_last_second_is_written_at_the_end(transactional_db, tmp_path):
    """granian's workers run no atexit."""
    shared = {"METRICS_DIR": str(tmp_path / "metrics")}
    with web_server(**shared) as address:
        for _time in range(7):
            Visitor(address).get("/nada/")
    counted = sum(
        value
        for path in (tmp_path / "metrics").glob("*.json")
        for key, value in json.loads(path.read_text())["counters"]
        if key == ["requests", "none", "404"]
    )
    assert counted == 7


def test_a_task_whose_process_was_killed_is_counted_too(queues_of_ones_own, sink, tmp_path):
    metrics = tmp_path / "metrics"
    told = {"METRICS_DIR": str(metrics), "EMAIL_URL": sink.url}
    with worker(tmp_path / "worker.log", DEFAULT, **told) as found:
        (child,) = (
            Path(f"/proc/{found.process.pid}/task/{found.process.pid}/children").read_text().split()
        )
        sink.on_data = lambda: os.kill(int(child), signal.SIGKILL)
        mail.post(to="maria@example.com", subject="Olá", text="Olá")

        def is_counted() -> bool:
            counted = [json.loads(path.read_text())["counters"] for path in metrics.glob("*.json")]
            return ["tasks", "core.tasks.send_mail", "", "killed"] in [
                key for one in counted for key, _n in one
            ]

        wait_for(is_counted, "nobody counted it")
