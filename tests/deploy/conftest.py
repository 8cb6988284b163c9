"""A Postgres and a Redis that tests of this folder may stop and swap databases in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.servers import Pair, private_pair


@pytest.fixture(scope="session")
def kept_pair() -> Iterator[Pair]:
    with private_pair() as found:
        yield found


@pytest.fixture
def pair(kept_pair) -> Pair:
    kept_pair.start()
    return kept_pair
