"""What was counted and what was asked, as Prometheus reads it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from .counting import Key
from .names import ASKED, COUNTED, HELD, PREFIX, Measure
from .shared import INFINITY, Totals


def render(totals: Totals, asked: dict[Key, float]) -> bytes:
    """Return the page of ``totals`` and of what was ``asked``, in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(totals, asked))
    return generate_latest(registry)


class _Once(Collector):
    """Numbers that are read once."""

    def __init__(self, totals: Totals, asked: dict[Key, float]) -> None:
        self.totals, self.asked = totals, asked

    def collect(self) -> Iterator[Metric]:
        for name, measure in COUNTED.items():
            if measure.buckets:
                yield self._histogram(name, measure)
            else:
                family = CounterMetricFamily(PREFIX + name, measure.help, labels=measure.labels)
                if not measure.labels:  # from 0, or Prometheus would not see its first step
                    self.totals.counters.setdefault((name,), 0.0)
                yield _filled(family, name, measure, self.totals.counters)
        for group, numbers in ((HELD, self.totals.held), (ASKED, self.asked)):
            for name, measure in group.items():
                gauge = GaugeMetricFamily(PREFIX + name, measure.help, labels=measure.labels)
                yield _filled(gauge, name, measure, numbers)

    def _histogram(self, name: str, measure: Measure) -> Metric:
        family = HistogramMetricFamily(PREFIX + name, measure.help, labels=measure.labels)
        for key, by_bound in self.totals.histograms.items():
            if key[0] != name or len(key) != len(measure.labels) + 1:
                continue
            counts = [0.0] * (len(measure.buckets) + 1)
            for bound, number in by_bound.items():  # another release's bounds: the next larger one
                place = -1 if bound == INFINITY else bisect_left(measure.buckets, float(bound))
                counts[place] += number
            total, buckets = 0.0, []
            for upper, number in zip((*measure.buckets, float("inf")), counts, strict=True):
                total += number
                buckets.append((floatToGoString(upper), total))
            family.add_metric(key[1:], buckets, self.totals.sums[key])
        return family


def _filled(family, name: str, measure: Measure, numbers: dict[Key, float]) -> Metric:
    for labels, value in _of(name, measure, numbers):
        family.add_metric(labels, value)
    return family


def _of(
    name: str, measure: Measure, numbers: dict[Key, float]
) -> Iterable[tuple[tuple[str, ...], float]]:
    """Each of ``name``; what another release labelled otherwise is left out."""
    for key, value in numbers.items():
        if key[0] == name and len(key) == len(measure.labels) + 1:
            yield key[1:], value
