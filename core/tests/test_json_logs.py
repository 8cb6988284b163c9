"""Lines for machines: one object each, with the request, the view and the task in them; no values."""

from __future__ import annotations

import io
import json
import logging
from unittest import mock

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import SimpleTestCase, TestCase, override_settings

from core import logs, scrubbing
from core.requests import AddRequestId
from core.work import work
from tests.factories import make_user


class Lines:
    """What the site would write, in both forms."""

    def __init__(self):
        self.streams = {}
        self.handlers = []
        form = {
            "json": logs.JsonFormatter(),
            "line": logs.LineFormatter(
                "{asctime} {levelname} {name} {request_id} {message}", style="{"
            ),
        }
        for name, formatter in form.items():
            handler = logging.StreamHandler(io.StringIO())
            handler.setFormatter(formatter)
            handler.addFilter(AddRequestId())
            self.handlers.append(handler)
            self.streams[name] = handler.stream

    def __enter__(self):
        for handler in self.handlers:
            for name in ("", "django"):
                logging.getLogger(name).addHandler(handler)
        return self

    def __exit__(self, *error):
        for handler in self.handlers:
            for name in ("", "django"):
                logging.getLogger(name).removeHandler(handler)

    @property
    def text(self) -> str:
        return "".join(stream.getvalue() for stream in self.streams.values())

    def said(self, logger: str) -> list[dict]:
        found = [json.loads(line) for line in self.streams["json"].getvalue().splitlines()]
        return [line for line in found if line["logger"] == logger]


class JsonTests(TestCase):
    def test_a_request_is_one_object(self):
        with Lines() as lines:
            self.client.get("/busca/?q=segredo", headers={"x-request-id": "0123abcd"})
        (line,) = lines.said("core.requests")
        assert line["message"].startswith("GET /busca/ 200 ")
        assert line["request_id"] == "0123abcd"
        assert (line["view"], line["status"], line["level"]) == ("core:search", 200, "INFO")
        assert line["queries"] > 0
        assert line["ms"] > 0
        assert line["time"].endswith("Z")
        assert "segredo" not in lines.text

    @override_settings(SLOW_QUERY_MS=0)
    def test_a_slow_statement_is_told_with_its_view_and_without_its_values(self):
        with Lines() as lines:
            self.client.get("/busca/?q=segredo")
        line = lines.said("core.queries.slow")[0]
        assert line["view"] == "core:search"
        assert line["sql"].startswith("S")
        assert "%s" in "".join(one["sql"] for one in lines.said("core.queries.slow"))
        assert "segredo" not in lines.text

    @override_settings(SLOW_QUERY_MS=0)
    def test_values_inside_a_statement_are_left_out(self):
        with Lines() as lines, connection.cursor() as cursor:
            cursor.execute("SELECT 'segre''do', %s", ["segredo"])
        assert "segre" not in lines.text
        assert lines.said("core.queries.slow")[0]["sql"] == "SELECT '…', %s"

    def test_a_slow_request_is_told(self):
        from django.test import RequestFactory

        from core.requests import RequestMiddleware

        with override_settings(SLOW_REQUEST_MS=0), Lines() as lines:
            from django.http import HttpResponse

            RequestMiddleware(lambda request: HttpResponse())(RequestFactory().get("/?q=segredo"))
        (line,) = lines.said("core.requests.slow")
        assert line["message"] == "slow request"
        assert line["status"] == 200
        assert "segredo" not in lines.text
        assert "status=200 ms=" in lines.streams["line"].getvalue()

    def test_an_error_has_its_place_and_not_its_values(self):
        who, mail, other = "mariadasilva", "maria@example.com", "outra@example.com"
        make_user(username=who, email=mail)
        with Lines() as lines:
            try:
                with transaction.atomic():
                    make_user(username=who, email=other)
            except IntegrityError:
                logging.getLogger("core").exception("it broke for %s", mail)
        (line,) = lines.said("core")
        assert line["level"] == "ERROR"
        assert "23505" in line["error"]
        assert "constraint=" in line["error"]
        assert "in make_user" in line["error"]
        assert "IntegrityError" in line["error"]
        for secret in (who, mail, other, "DETAIL"):
            assert secret not in lines.text

    def test_what_a_view_raises_is_told_with_the_view(self):
        self.client.raise_request_exception = False
        with (
            Lines() as lines,
            mock.patch(
                "core.views.collect",
                side_effect=ValueError("o texto 'segredo' de joana@example.com"),
            ),
        ):
            assert self.client.get("/").status_code == 500
        (line,) = [one for one in lines.said("django.request") if "error" in one]
        assert line["view"] == "core:home"
        assert "ValueError" in line["error"]
        assert "segredo" not in lines.text
        assert "joana" not in lines.text


class FormTests(SimpleTestCase):
    def test_it_stays_one_object_whatever_is_logged(self):
        with Lines() as lines:
            logging.getLogger("core").warning(
                'a "b" \\ \n \u2028 \ud800 %s', "ç", extra={"fields": {"n": 1, "s": 'x"'}}
            )
        (line,) = lines.said("core")
        assert (line["n"], line["s"]) == (1, 'x"')
        assert "\n" in line["message"]
        assert len(lines.streams["json"].getvalue().splitlines()) == 1

    def test_a_task_stands_in_its_lines(self):
        work.task, work.task_id = "core.tasks.x", "1f"
        try:
            with Lines() as lines:
                logging.getLogger("core").info("x")
        finally:
            work.task = work.task_id = ""
        assert (lines.said("core")[0]["task"], lines.said("core")[0]["task_id"]) == (
            "core.tasks.x",
            "1f",
        )

    def test_celerys_words_about_a_task_lose_their_values(self):
        words = {
            "id": "1f",
            "name": "core.tasks.x",
            "runtime": 1,
            "return_value": "'segredo'",
            "exc": "ValueError('segredo')",
        }
        with Lines() as lines:
            logging.getLogger("celery.app.trace").info(
                "Task %(name)s[%(id)s] %(exc)s %(return_value)s", words
            )
        assert "segredo" not in lines.text
        assert "core.tasks.x[1f] ValueError('…')" in lines.said("celery.app.trace")[0]["message"]

    def test_causes_are_told_and_rings_end(self):
        first, second = ValueError("um"), KeyError("segredo")
        first.__cause__, second.__cause__ = second, first
        told = scrubbing.traceback_of(first)
        assert told.count("ValueError: um") == 1
        assert "which came of" in told
        assert "segredo" not in told

    def test_a_wrong_form_ends_the_start_with_a_sentence(self):
        with pytest.raises(SystemExit, match="LOG_FORMAT"):
            logs.configuration("xml", "INFO")
