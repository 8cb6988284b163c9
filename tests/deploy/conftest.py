"""A Postgres and a Redis that tests of this folder may stop and swap databases in."""

from tests.faults.conftest import kept_pair, pair

__all__ = ["kept_pair", "pair"]
