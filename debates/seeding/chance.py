"""Dice that fall the same way for the same seed, and shares that add up."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from math import gcd
from random import Random

STRIDE = 7919  # a prime, so that neighbours in a ranking are strangers in the table


def dice(seed: int, *names: object) -> Random:
    """Return the dice of one part of the work; parts do not disturb each other's."""
    return Random(":".join(map(str, (seed, *names))))  # noqa: S311  nothing secret


def spread(total: int, weights: Sequence[float]) -> array:
    """Return whole shares of ``total`` in proportion to ``weights``, adding up exactly."""
    whole = sum(weights)
    shares, given, passed = array("Q"), 0, 0.0
    for weight in weights:
        passed += weight
        due = min(total, int(total * passed / whole))
        shares.append(due - given)
        given = due
    if shares:
        shares[-1] += total - given
    return shares


class Ranking:
    """``count`` consecutive ids in an order of their own; the first of it turn up most often."""

    def __init__(self, first: int, count: int):
        self.first, self.count = first, count
        self._stride = next(step for step in range(STRIDE, 2 * STRIDE) if gcd(step, count) == 1)

    def id(self, place: int) -> int:
        """Return the id at ``place``, which may run past the end and round."""
        return self.first + place * self._stride % self.count

    def draw(self, dice: Random) -> int:
        """Return a place; the lower half is drawn seven times in ten."""
        return int(self.count * dice.random() ** 2)
