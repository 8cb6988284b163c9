"""What reaches a Sentry on this machine of an error in a view and in a task, and what does not."""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import brotli
import pytest
from django.db import connection
from django.test import SimpleTestCase

from core import sentry
from debates.tasks import reconcile_counters
from tests.background.processes import empty_queues, worker
from tests.factories import PASSWORD, make_user
from tests.faults.servers import wait_for
from tests.faults.visitor import Visitor
from tests.servers import web_server

TYPED = ("palavraprocurada", "mariadocarmo", "maria.do.carmo@example.com", "BiscoitoDeSessao")
ADDRESS = "203.0.113.78"
NAME = "0123456789abcdef"


class Reader(Visitor):
    agent = "NavegadorDaMaria/1.0"
    headers = {
        "X-Forwarded-For": ADDRESS,
        "X-Request-ID": NAME,
        "Authorization": "Basic BiscoitoDeSessao",
    }


@contextlib.contextmanager
def receiver() -> Iterator[tuple[str, list[dict], list[str]]]:
    """Yield a DSN, the events that came, and everything that came as text."""
    events: list[dict] = []
    texts: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            unpack = {"gzip": gzip.decompress, "br": brotli.decompress}
            body = unpack.get(self.headers.get("Content-Encoding", ""), bytes)(body)
            texts.append(body.decode())
            found = [json.loads(line) for line in body.splitlines() if line.startswith(b"{")]
            events.extend(item for item in found if "exception" in item or "logentry" in item)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *words):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://chave@127.0.0.1:{server.server_port}/1", events, texts
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def broken_tables(*tables: str) -> Iterator[None]:
    """Each by another name, so that whoever asks it fails."""
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} RENAME TO {table}_away")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            for table in tables:
                cursor.execute(f"ALTER TABLE {table}_away RENAME TO {table}")


def error_of(events: list[dict], kind: str) -> dict:
    return next(one for one in events if one["exception"]["values"][-1]["type"] == kind)


@pytest.fixture
def clean_queues(transactional_db):
    empty_queues()
    yield
    empty_queues()


def test_errors_of_views_and_tasks_arrive_without_anybody_in_them(clean_queues, tmp_path):
    make_user(username=TYPED[1], email=TYPED[2], password=PASSWORD)
    with receiver() as (dsn, events, texts):
        told = {
            "SENTRY_DSN": dsn,
            "SENTRY_ENVIRONMENT": "teste",
            "SENTRY_RELEASE": "1.2.3",
            "SENTRY_TRACES_SAMPLE_RATE": "1",
        }
        with (
            worker(tmp_path / "worker.log", **told),
            web_server(tmp_path / "web.log", TRUSTED_PROXY_HOPS="1", **told) as address,
        ):
            reader = Reader(address)
            reader.get("/conta/entrar/")
            assert reader.post("/conta/entrar/", username=TYPED[2], password=PASSWORD).status == 302
            with broken_tables("core_book", "debates_debatetopic"):
                assert reader.get(f"/busca/?q={TYPED[0]}").status == 500
                reconcile_counters.apply_async()
                wait_for(lambda: len(events) >= 2, f"{len(events)} events came")
            assert reader.get(f"/leitores/{TYPED[1]}/").status == 200
            assert reader.get(f"/conta/senha/Mw/{TYPED[3]}/nada/").status == 404
    view = next(one for one in events if one["tags"].get("view") == "core:search")
    task = next(
        one for one in events if one["tags"].get("task") == "debates.tasks.reconcile_counters"
    )
    assert view["tags"]["request_id"] == NAME
    assert (view["environment"], view["release"]) == ("teste", "1.2.3")
    for event in (view, task):
        problem = event["exception"]["values"][-1]
        assert problem["type"] == "ProgrammingError"
        assert problem["stacktrace"]["frames"]
    everything = "".join(texts)
    for secret in (
        *TYPED,
        ADDRESS,
        Reader.agent,
        PASSWORD,
        reader.cookies["sessionid"],
        "csrftoken",
    ):
        assert secret not in everything, secret


def test_without_a_dsn_nothing_is_loaded(transactional_db):
    import subprocess
    import sys

    from django.conf import settings

    from tests.servers import child_environment

    words = "import sys, django; django.setup(); print('sentry_sdk' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", words],
        cwd=settings.BASE_DIR,
        env=child_environment(DJANGO_SETTINGS_MODULE="cgbookstore.settings"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


class ScrubbedTests(SimpleTestCase):
    def test_only_what_is_named_leaves(self):
        secret = "segredo"
        unknown = {"new_field": secret}
        event = {
            "event_id": "1f", "level": "error", **unknown,
            "user": {"ip_address": secret}, "breadcrumbs": {"values": [{"message": secret}]},
            "threads": {"values": [{"stacktrace": {"frames": [{"vars": {"a": secret}}]}}]},
            "request": {
                "url": f"https://site/leitores/{secret}/?q=x", "query_string": secret, "cookies": {"a": secret},
                "headers": {"Referer": secret}, "data": {"a": secret}, "env": {"REMOTE_ADDR": secret},
                "method": "POST", **unknown,
            },
            "contexts": {
                "celery-job": {"args": [secret]},
                "runtime": {"name": "CPython", **unknown},
                "trace": {
                    "data": {"url": secret}, "op": "http", **unknown,
                    "dynamic_sampling_context": {"trace_id": "2f", "transaction": secret},
                },
            },
            "exception": {"values": [{
                "type": "ValueError", "value": f"maria@example.com typed '{secret}'", **unknown,
                "mechanism": {"type": "django", "handled": False, "data": {"a": secret}},
                "stacktrace": {**unknown, "frames": [{"function": "f", "vars": {"a": secret}, **unknown}]},
            }], **unknown},
            "logentry": {"message": "mail to %s", "params": [secret], "formatted": secret},
            "spans": [
                {"op": "db", "data": {"x": secret}, "tags": {"x": secret}, "description": f"SELECT '{secret}'", **unknown},
                {"op": "http.client", "description": f"GET http://other/{secret}"},
            ],
            "sdk": {"name": "sentry.python.django", "packages": [secret]},
            "tags": {"x": secret}, "extra": {"x": secret}, "modules": {"x": secret}, "server_name": secret,
            "transaction": f"/conta/senha/Mw/{secret}/nada/",
            "transaction_info": {"source": "url", **unknown},
        }  # fmt: skip
        found = sentry.scrubbed(event, {})
        assert secret not in json.dumps(found)
        assert found == {
            "event_id": "1f",
            "level": "error",
            "sdk": {"name": "sentry.python.django"},
            "transaction": "none",
            "transaction_info": {"source": "custom"},
            "request": {"method": "POST", "url": "https://site/"},
            "contexts": {
                "runtime": {"name": "CPython"},
                "trace": {"op": "http", "dynamic_sampling_context": {"trace_id": "2f"}},
            },
            "exception": {
                "values": [
                    {
                        "type": "ValueError",
                        "value": "<e-mail> typed '…'",
                        "mechanism": {"type": "django", "handled": False},
                        "stacktrace": {"frames": [{"function": "f"}]},
                    }
                ]
            },
            "logentry": {"message": "mail to %s"},
            "spans": [{"op": "db", "description": "SELECT '…'"}, {"op": "http.client"}],
            "tags": {"request_id": "-", "view": "", "task": ""},
        }

    def test_a_view_and_a_task_keep_their_names(self):
        for source in ("route", "task"):
            event = {"transaction": "/busca/", "transaction_info": {"source": source}}
            found = sentry.scrubbed(event, {})
            assert (found["transaction"], found["transaction_info"]) == (
                "/busca/",
                {"source": source},
            )
