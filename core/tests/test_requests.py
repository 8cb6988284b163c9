"""The name of a request: taken, made, sent back, in every line; and what no line may hold."""

from __future__ import annotations

import logging
import re
from unittest import mock

import pytest
from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.db import OperationalError
from django.test import SimpleTestCase, TestCase
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from core.requests import AddRequestId, request_id
from tests.factories import make_user


class NameTests(SimpleTestCase):
    def name(self, given: str | None = None) -> str:
        headers = {} if given is None else {"x-request-id": given}
        return self.client.get("/healthz", headers=headers)["X-Request-ID"]

    def test_a_proxys_name_is_kept(self):
        for given in ("0123abcd", "A1-b2-C3-d4", "f" * 64, "6f9619ff-8b86-d011-b42d-00cf4fc964ff"):
            assert self.name(given) == given

    def test_an_odd_one_is_not_repeated(self):
        for given in (
            "", "curto", "f" * 65, "com espaco aqui", "nova\nlinha-aqui", "tab\tulado-aqui",
            "<script>alert(1)</script>", "ação-do-leitor", "12345678\n", "a_b_c_d_e", "../../etc/passwd",
        ):  # fmt: skip
            with self.subTest(given=given):
                assert re.fullmatch("[0-9a-f]{16}", self.name(given))

    def test_without_one_each_gets_its_own(self):
        assert len({self.name() for _time in range(5)}) == 5

    def test_it_ends_with_the_request(self):
        self.name("0123abcd")
        assert request_id.get() == "-"


class Keeper(logging.Handler):
    """Writes what the site's own handler writes, into a list."""

    def __init__(self):
        super().__init__()
        self.lines: list[str] = []
        line = settings.LOGGING["formatters"]["line"]
        self.setFormatter(logging.Formatter(line["format"], style=line["style"]))
        self.addFilter(AddRequestId())

    def emit(self, record):
        self.lines.append(self.format(record))


@pytest.fixture
def lines():
    keeper, loggers = Keeper(), [logging.getLogger(), logging.getLogger("django")]
    for logger in loggers:
        logger.addHandler(keeper)
    yield keeper.lines
    for logger in loggers:
        logger.removeHandler(keeper)


def test_every_line_of_a_request_has_its_name(lines, client):
    client.get("/healthz", headers={"x-request-id": "0123abcd"})
    logging.getLogger("core").warning("outside")
    request_line, outside = lines[-2:]
    assert " 0123abcd GET /healthz 200 " in request_line
    assert request_line.endswith(" ms")
    assert " core - outside" in outside


@pytest.mark.django_db
def test_a_line_is_one_line(lines, client):
    client.get("/livros/a%0aINFO%20falso/?q=segredo")
    (line,) = [line for line in lines if " core.requests " in line]
    assert "\n" not in line
    assert "segredo" not in line


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path", ["/leitores/umnome/", "//leitores/umnome/", "///conta/senha/umnome/"]
)
def test_somebodys_path_is_in_no_line(lines, client, path):
    assert client.get("/", PATH_INFO=path).status_code == 404
    text = "\n".join(lines)
    assert " core.requests " in text
    assert "umnome" not in text


class SecretPathTests(TestCase):
    """The link of a password mail opens an account: no log may hold it."""

    def setUp(self):
        user = make_user(password="uma-senha-de-teste")
        uid = urlsafe_base64_encode(force_bytes(user.pk))
        self.token = default_token_generator.make_token(user)
        self.path = f"/conta/senha/{uid}/{self.token}/"

    @pytest.fixture(autouse=True)
    def _lines(self, lines):
        self.lines = lines

    def assert_hidden(self, said: str):
        text = "\n".join(self.lines)
        assert said in text
        assert "/conta/senha/" in text
        assert self.token not in text

    def test_not_when_it_works(self):
        self.client.get(self.path)
        self.assert_hidden("GET /conta/senha/ 302")

    def test_not_when_the_page_does_not_exist(self):
        self.client.get(f"{self.path}mais/")
        self.assert_hidden("Not Found")

    def test_not_when_the_database_is_gone(self):
        gone = mock.patch(
            "django.db.backends.utils.CursorWrapper.execute", side_effect=OperationalError("gone")
        )
        with gone:
            assert self.client.get(self.path).status_code == 503
        self.assert_hidden("the database did not answer")

    def test_not_when_the_form_is_refused(self):
        client = self.client_class(enforce_csrf_checks=True)
        client.get(self.path)
        assert client.post(self.path, {}).status_code == 403
        self.assert_hidden("Forbidden")


def test_the_handler_has_the_filter():
    handler = settings.LOGGING["handlers"]["console"]
    assert "request_id" in handler["filters"]
    assert settings.LOGGING["filters"]["request_id"]["()"] == "core.requests.AddRequestId"
