"""core.words: how long something took, as a person says it."""

from __future__ import annotations

from django.test import SimpleTestCase
from django.utils import translation

from core.words import span


class SpanTests(SimpleTestCase):
    def test_two_units_at_the_most(self):
        for seconds, words in (
            (None, "–"),
            (0, "menos de 1 min"),
            (29, "menos de 1 min"),
            (31, "1 min"),
            (59 * 60, "59 min"),
            (3599, "1 h 00 min"),
            (2 * 3600 + 5 * 60, "2 h 05 min"),
            (48 * 3600 - 60, "47 h 59 min"),
            (48 * 3600, "2 dias 0 h"),
            (400 * 86_400 + 3 * 3600, "400 dias 3 h"),
        ):
            with self.subTest(seconds=seconds), translation.override("pt-br"):
                assert span(seconds) == words
