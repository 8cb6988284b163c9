"""core.text: folding for search, addresses that are unique and never empty."""

from __future__ import annotations

import re

import pytest
from django.db import IntegrityError, transaction
from django.test import SimpleTestCase, TestCase

from core.models import Author, Category
from core.text import SLUG_LENGTH, create_with_slug, excerpt, fold, slug_base


class FoldTests(SimpleTestCase):
    def test_case_accents_and_punctuation_go_words_stay(self):
        for text, folded in (
            ("São Bernardo: o d'água", "sao bernardo o dagua"),
            ("Memórias Póstumas de Brás Cubas", "memorias postumas de bras cubas"),
            ("OPINIÃO / opiniões", "opiniao opinioes"),
            ("d’água d‘água d`água d´água", "dagua dagua dagua dagua"),
            ("  dois\t\nespaços  ", "dois espacos"),
            ("1984_(edição)", "1984 edicao"),
            ("Ⅻ ﬁm ½", "xii fim 1 2"),
            ("STRASSE Straße", "strasse strasse"),
            ("Война и мир", "воина и мир"),
            ("ألف", "الف"),
            ("!!!", ""),
            ("🦊📚", ""),
            ("", ""),
        ):
            with self.subTest(text):
                assert fold(text) == folded

    def test_composed_and_decomposed_accents_are_one(self):
        assert fold("ação") == fold("ac\u0327a\u0303o") == "acao"

    def test_folding_twice_changes_nothing(self):
        for text in ("São João d'El-Rei", "İstanbul", "ﷺ", "Ǆ", "ſ", "ŉ", "ª º"):
            assert fold(fold(text)) == fold(text), text


class SlugBaseTests(SimpleTestCase):
    def base(self, text):
        return slug_base(text, fallback="debate")

    def test_words_in_ascii(self):
        assert self.base("O ciúme de Bentinho é prova?") == "o-ciume-de-bentinho-e-prova"

    def test_nothing_left_is_the_fallback(self):
        for text in ("", "!!!", "🦊📚", "العربية", "...", "---", "___", "\u202e"):
            assert self.base(text) == "debate", text

    def test_a_long_text_is_cut_at_a_word(self):
        slug = self.base("palavra " * 60)
        assert len(slug) <= 180
        assert set(slug.split("-")) == {"palavra"}

    def test_one_long_word_is_cut_anyway(self):
        assert self.base("ã" * 200) == "a" * 180

    def test_a_tail_still_fits_the_column(self):
        assert len(self.base("x" * 500)) + len("-abcdef") <= SLUG_LENGTH


class CreateWithSlugTests(TestCase):
    def create(self, text="Um nome", **values):
        return create_with_slug(
            text,
            fallback="autor",
            create=lambda slug: Author.objects.create(name=text, slug=slug, **values),
        )

    def test_the_first_gets_the_plain_slug_and_the_next_a_random_tail(self):
        slugs = [self.create().slug for _time in range(3)]
        assert slugs[0] == "um-nome"
        assert all(re.fullmatch(r"um-nome-[0-9a-f]{6}", slug) for slug in slugs[1:])
        assert len(set(slugs)) == 3

    def test_hostile_texts_get_an_address(self):
        for text in ("!!!", "🦊", "ã" * 200, "العربية"):
            for _time in range(2):
                assert re.fullmatch(r"[-a-z0-9_]+", self.create(text).slug)

    def test_the_transaction_around_it_survives_a_taken_slug(self):
        with transaction.atomic():
            self.create()
            self.create()
            assert Author.objects.count() == 2

    def test_it_gives_up_after_six_taken_slugs(self):
        self.create()
        tried = []

        def create(slug):
            tried.append(slug)
            with transaction.atomic():
                return Author.objects.create(name="x", slug="um-nome")

        with pytest.raises(IntegrityError, match="slug"):
            create_with_slug("Um nome", fallback="autor", create=create)
        assert tried[0] == "um-nome"
        assert len(set(tried)) == 6

    def test_another_broken_constraint_is_not_tried_again(self):
        Category.objects.create(name="Contos", slug="a")
        tried = []

        def create(slug):
            tried.append(slug)
            return Category.objects.create(name="Contos", slug=slug)

        with pytest.raises(IntegrityError, match="name"):
            create_with_slug("Outro", fallback="categoria", create=create)
        assert tried == ["outro"]


class ExcerptTests(SimpleTestCase):
    def test_plain_words_on_one_line_cut_at_a_length(self):
        for html, words in [
            ("<p>Um &amp; dois.</p>\n<p>Três<br>\nquatro</p>", "Um & dois. Três quatro"),
            ("<p>1 &lt; 2</p>", "1 < 2"),
            ("<hr>", ""),
            ("<p>" + "a" * 50 + "</p>", "a" * 29 + "…"),
        ]:
            with self.subTest(html=html):
                assert excerpt(html, 30) == words
