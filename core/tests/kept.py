"""Something that is kept, and a case whose readers and writers count what it costs."""

from __future__ import annotations

from django.test import TestCase

from core import cache
from tests.keeping import release_claims

KEY, SCOPE, OTHER = "lista", "teste.lista", "teste.outra"


class Source:
    """What is built: counts, and says how often it was asked."""

    def __init__(self):
        self.value, self.builds = 1, 0

    def build(self):
        self.builds += 1
        return {"valor": self.value}

    def read(self, *scopes):
        return cache.remember(KEY, scopes or (SCOPE,), self.build)["valor"]


class KeptTestCase(TestCase):
    def setUp(self):
        self.source = Source()
        self.read = self.source.read

    def write(self, value, *scopes):
        """Somebody writes, more than a second after the last rebuild."""
        release_claims()
        self.source.value = value
        cache._bump_now(scopes or (SCOPE,))
