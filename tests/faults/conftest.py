"""Servers that several tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .servers import Pair, private_pair


@pytest.fixture(scope="session")
def kept_pair() -> Iterator[Pair]:
    with private_pair() as found:
        yield found


@pytest.fixture
def pair(kept_pair) -> Pair:
    """A Postgres and a Redis of these tests' own; a test may stop them, the next finds them running."""
    kept_pair.start()
    return kept_pair
