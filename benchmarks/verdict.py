"""A row of the table: what was wanted, what was measured, and whether that is enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

MET, MISSED, NOT_MEASURED, FOR_COMPARISON = "met", "missed", "not measured", "no target"


@dataclass(frozen=True)
class Check:
    """One number and its bound; without a bound it is there to be read."""

    name: str
    value: float
    unit: str = ""
    least: float | None = None
    most: float | None = None

    @property
    def met(self) -> bool:
        if self.least is not None and self.value < self.least:
            return False
        return self.most is None or self.value <= self.most

    @property
    def has_bound(self) -> bool:
        return self.least is not None or self.most is not None

    def __str__(self) -> str:
        size = abs(self.value)
        number = format(self.value, ",.0f" if size >= 10 else ".2f" if size >= 0.1 else ".2g")
        number = number.removesuffix(".00")
        return f"{self.name} {number}{' ' if self.unit else ''}{self.unit}".strip()


@dataclass
class Row:
    """``figures`` is all that was measured, for the JSON; ``problem`` why it could not be."""

    name: str
    title: str
    target: str
    checks: list[Check] = field(default_factory=list)
    figures: dict = field(default_factory=dict)
    problem: str = ""

    @property
    def verdict(self) -> str:
        if self.problem:
            return NOT_MEASURED
        if not any(check.has_bound for check in self.checks):
            return FOR_COMPARISON if self.checks else NOT_MEASURED
        return MET if all(check.met for check in self.checks) else MISSED

    @property
    def measured(self) -> str:
        """The numbers in one line; those that miss their bound are marked with ``!``."""
        if self.problem:
            return f"not measured: {self.problem}"
        return "; ".join(f"{check}{'' if check.met else ' (!)'}" for check in self.checks)


def exit_code(rows: Sequence[Row], *, judge: bool = True) -> int:
    """Return 0 when every row is measured and, where ``judge``, none misses its target."""
    bad = {NOT_MEASURED, MISSED} if judge else {NOT_MEASURED}
    return int(not rows or any(row.verdict in bad for row in rows))
