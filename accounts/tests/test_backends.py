"""accounts.backends and hashers: who gets in, and what a password costs."""

from __future__ import annotations

from unittest import mock

from django.contrib.auth import authenticate
from django.contrib.auth.hashers import make_password
from django.db import connection
from django.test import SimpleTestCase, TestCase

from accounts.models import User
from tests.factories import PASSWORD, make_user

HASH = "accounts.backends.make_password"


class BackendTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.user = make_user(username="Marina", email="Marina@Example.com", password=PASSWORD)
        cls.away = make_user(username="ausente", password=PASSWORD, is_active=False)
        cls.locked = make_user(username="sem-senha", email="")

    def test_a_name_or_an_address_in_any_case(self):
        for login in ("Marina", "marina", "MARINA", "marina@example.com", "MARINA@EXAMPLE.COM"):
            with self.subTest(login), self.assertNumQueries(1):
                assert authenticate(username=login, password=PASSWORD) == self.user

    def test_everybody_else_stays_out(self):
        strangers = [
            ("marina", "outra-senha"),
            ("marina", PASSWORD.upper()),
            ("marina", ""),
            ("marina@", PASSWORD),
            ("@example.com", PASSWORD),
            ("marin", PASSWORD),
            ("ausente", PASSWORD),
            ("sem-senha", PASSWORD),
            ("sem-senha", ""),
            ("%", PASSWORD),
            ("", PASSWORD),
            ("@", PASSWORD),
        ]
        for login, password in strangers:
            with self.subTest(login=login, password=password):
                assert authenticate(username=login, password=password) is None

    def test_without_a_name_or_a_password_nothing_is_asked(self):
        with self.assertNumQueries(0):
            assert authenticate(username=None, password=PASSWORD) is None
            assert authenticate(username="marina", password=None) is None

    def test_an_unknown_name_costs_a_hash_like_a_wrong_password(self):
        with mock.patch(HASH, wraps=make_password) as hashed:
            authenticate(username="ninguem", password=PASSWORD)
            assert hashed.call_count == 1
            authenticate(username="marina", password="errada")
            assert hashed.call_count == 1

    def test_an_index_serves_each_kind_of_login(self):
        User.objects.bulk_create(
            User(username=f"l{n}", email=f"l{n}@example.com" if n % 2 else "") for n in range(2000)
        )
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE accounts_user")
        for login, index in (("L77", "user_username_once"), ("L77@a.b", "user_email_once")):
            assert index in User.objects.with_login(login).explain(), login


class HasherTests(SimpleTestCase):
    def test_argon2id_with_owasps_numbers(self):
        encoded = make_password(PASSWORD)
        assert encoded.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
