"""accounts.forms: what is taken, what is refused, and that nothing typed is an error 500."""

from __future__ import annotations

from django.test import SimpleTestCase, TestCase

from accounts.forms import (
    PAGES_LIMIT,
    LoginForm,
    PasswordResetForm,
    ProfileForm,
    ProgressForm,
    ReviewForm,
    ShelfForm,
    SignUpForm,
)
from accounts.models import ShelfItem
from tests.factories import PASSWORD, make_user

NUL = "a\x00b"


def sign_up(**values):
    return SignUpForm(
        {"username": "leitora", "email": "leitora@example.org", "password": PASSWORD, **values}
    )


class SignUpFormTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        make_user(username="Marina", email="Marina@Example.com")

    def test_a_new_reader(self):
        for name in ("ana", "Ana.Clara", "a-b_c.d", "123", "x" * 30):
            with self.subTest(name):
                assert sign_up(username=name).is_valid()

    def test_a_name_that_is_none(self):
        names = (
            "", "ab", "x" * 31, "ana clara", "joão", ".ana", "ana-", "ana/", "ana@b", "a..\n", NUL,
            "Аня", "ana\u202e", "../..", "<b>", "ana\nclara",
        )  # fmt: skip
        for name in names:
            with self.subTest(name):
                assert "username" in sign_up(username=name).errors

    def test_a_name_or_address_that_is_taken_in_any_case(self):
        for name in ("Marina", "marina", "MARINA", " marina "):
            assert "Este nome já é de outra pessoa." in str(sign_up(username=name).errors), name
        for email in ("Marina@Example.com", "marina@example.com", "MARINA@EXAMPLE.COM"):
            assert "Já existe uma conta com este e-mail." in str(sign_up(email=email).errors), email

    def test_an_address_is_wanted_and_is_one(self):
        for email in ("", "marina", "a@b", f"{'a' * 250}@b.com.br", f"{NUL}@b.com.br"):
            with self.subTest(email):
                assert "email" in sign_up(email=email).errors

    def test_a_password_that_is_none(self):
        weak = ("", "curta7!", "12345678901", "password", "leitora", "leitora1", "x" * 129, NUL * 4)
        for password in weak:
            with self.subTest(password):
                assert "password" in sign_up(password=password).errors

    def test_a_password_keeps_its_spaces(self):
        phrase = "  uma frase com pontas  "
        form = sign_up(password=phrase)
        assert form.is_valid()
        assert form.cleaned_data["password"] == phrase

    def test_every_problem_is_told_at_once_and_what_was_typed_is_kept(self):
        form = sign_up(username="ab", email="nada", password="1")
        assert set(form.errors) == {"username", "email", "password"}
        assert form["username"].value() == "ab"

    def test_nobody_makes_themselves_staff(self):
        form = sign_up(is_staff="on", is_superuser="on", display_name="Chefe")
        assert form.is_valid()
        user = form.save(commit=False)
        assert not (user.is_staff or user.is_superuser or user.display_name)


class LoginFormTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.user = make_user(username="marina", email=f"{'m' * 60}@example.com", password=PASSWORD)

    def login(self, username, password=PASSWORD):
        return LoginForm(None, {"username": username, "password": password})

    def test_a_name_or_a_long_address(self):
        for login in ("marina", "MARINA", self.user.email, f" {self.user.email} "):
            form = self.login(login)
            assert form.is_valid(), login
            assert form.get_user() == self.user

    def test_the_wrong_words_are_refused_with_one_sentence_for_all(self):
        told = {
            str(self.login(*words).errors)
            for words in (("marina", "errada"), ("ninguem", PASSWORD), ("n@example.com", "x"))
        }
        assert len(told) == 1

    def test_odd_words_are_form_errors(self):
        for words in ((NUL, "x"), ("marina", NUL), ("x" * 5000, "x"), ("marina", "x" * 5000)):
            with self.subTest(words[0][:10]):
                assert not self.login(*words).is_valid()


class PasswordResetFormTests(TestCase):
    def test_an_address_in_any_case_of_somebody_who_can_log_in(self):
        known = make_user(email="Ana@Example.com", password=PASSWORD)
        make_user(email="sem@example.com")
        make_user(email="fora@example.com", password=PASSWORD, is_active=False)
        found = {
            email: list(PasswordResetForm().get_users(email))
            for email in ("ana@example.com", "sem@example.com", "fora@example.com", "x@y.zz")
        }
        assert found.pop("ana@example.com") == [known]
        assert not any(found.values())

    def test_odd_addresses_are_form_errors(self):
        for email in ("", "ana", NUL, f"{NUL}@example.com"):
            assert not PasswordResetForm({"email": email}).is_valid(), email


class ProfileFormTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.user = make_user(email="eu@example.com", password=PASSWORD)
        make_user(email="outra@example.com")

    def profile(self, **values):
        words = {"display_name": "Ana", "city": "Natal", "bio": "", "email": "eu@example.com"}
        return ProfileForm(words | values, instance=self.user)

    def test_ones_own_address_is_no_clash_and_anothers_is(self):
        known = {"current_password": PASSWORD}
        assert self.profile(email="EU@example.com", **known).is_valid()
        assert list(self.profile(email="Outra@Example.com", **known).errors) == ["email"]

    def test_a_new_address_needs_the_password(self):
        for password in ("", "errada", "x" * 128):
            form = self.profile(email="nova@example.com", current_password=password)
            assert list(form.errors) == ["current_password"]
            self.user.refresh_from_db()
        assert self.profile(email="nova@example.com", current_password=PASSWORD).is_valid()

    def test_a_name_of_nothing_visible_is_refused(self):
        assert list(self.profile(display_name="\u200b\u202e").errors) == ["display_name"]

    def test_too_long_or_odd_is_refused(self):
        for field, value in (
            ("display_name", "x" * 61), ("city", "x" * 81), ("bio", "x" * 601), ("email", ""),
            ("display_name", NUL), ("city", NUL), ("bio", NUL), ("email", NUL),
        ):  # fmt: skip
            with self.subTest(field=field, value=value[:4]):
                assert list(self.profile(**{field: value}).errors) == [field]

    def test_no_other_column_is_open(self):
        fields = {"display_name", "city", "bio", "email", "mail_frequency", "current_password"}
        assert set(self.profile().fields) == fields


class ShelfFormTests(SimpleTestCase):
    def test_the_five_shelves_and_none(self):
        for status in ("", *ShelfItem.Status.values):
            form = ShelfForm({"status": status})
            assert form.is_valid()
            assert form.cleaned_data == {"status": status}
        assert ShelfForm({}).is_valid()

    def test_no_other(self):
        for status in ("emprestado", "LIDO", NUL, "x" * 5000):
            assert not ShelfForm({"status": status}).is_valid()


class ProgressFormTests(TestCase):
    def clean(self, **values):
        form = ProgressForm(values)
        return form.cleaned_data if form.is_valid() else set(form.errors)

    def test_a_percentage_alone(self):
        for percent in (0, 37, 100):
            assert self.clean(percent=percent) == {"percent": percent, "page": None, "pages": None}

    def test_a_page_of_an_edition_says_the_percentage_itself(self):
        for page, pages, percent in ((0, 300, 0), (120, 500, 24), (299, 300, 99), (300, 300, 100)):
            assert self.clean(page=page, pages=pages, percent=7) == {
                "page": page, "pages": pages, "percent": percent,
            }  # fmt: skip

    def test_pages_without_a_page_are_forgotten(self):
        assert self.clean(percent=20, pages=300) == {"percent": 20, "page": None, "pages": None}

    def test_each_mistake_is_told_at_its_field(self):
        for values, fields in (
            ({}, {"percent"}),
            ({"pages": 300}, {"percent"}),
            ({"percent": 101}, {"percent"}),
            ({"percent": -1}, {"percent"}),
            ({"percent": "metade"}, {"percent"}),
            ({"percent": NUL}, {"percent"}),
            ({"page": 10}, {"pages"}),
            ({"page": 11, "pages": 10}, {"page"}),
            ({"page": -1, "pages": 10}, {"page"}),
            ({"page": 1, "pages": 0}, {"pages"}),
            ({"page": 1, "pages": PAGES_LIMIT + 1}, {"pages"}),
            ({"page": "9" * 400, "pages": 10}, {"page"}),
        ):
            with self.subTest(values):
                assert self.clean(**values) == fields


class ReviewFormTests(TestCase):
    def test_half_stars_are_whole_numbers(self):
        for halves in range(1, 11):
            form = ReviewForm({"rating": str(halves), "text": ""})
            assert form.is_valid()
            assert form.cleaned_data == {"rating": halves, "text": "", "has_spoiler": False}

    def test_no_other_rating(self):
        for rating in ("", "0", "11", "4.5", "-1", "cinco", NUL):
            assert set(ReviewForm({"rating": rating, "text": "x"}).errors) == {"rating"}, rating

    def test_too_long_or_odd_words_are_refused_and_kept(self):
        for text in ("x" * 10_001, NUL):
            form = ReviewForm({"rating": "8", "text": text})
            assert set(form.errors) == {"text"}
            assert form["text"].value() == text
