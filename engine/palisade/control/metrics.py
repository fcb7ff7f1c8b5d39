"""Metrics in Prometheus' format, read from the engine's state when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from palisade.control.engine import Engine
from palisade.control.shadowing import Outcome

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render(engine: Engine) -> bytes:
    """All metrics of an engine (https://prometheus.io/docs/instrumenting/exposition_formats/)."""
    registry = CollectorRegistry()
    registry.register(_EngineCollector(engine))
    return generate_latest(registry)


class _EngineCollector(Collector):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterable[Metric]:
        engine = self._engine
        revision = engine.deployment.id if engine.deployment else ""
        info = GaugeMetricFamily("palisade_revision", "The revision in force.", labels=["revision"])
        info.add_metric([revision], 1 if revision else 0)
        yield info
        yield CounterMetricFamily("palisade_reloads", "Readings of the policies.", value=engine.reloads)
        yield CounterMetricFamily(
            "palisade_reloads_failed", "Readings that found errors.", value=engine.failed_reloads
        )
        if engine.last is not None:
            seconds = engine.last.seconds
            yield GaugeMetricFamily(
                "palisade_reload_seconds", "Duration of the last reading, with compiling.", value=seconds
            )
        backend = GaugeMetricFamily(
            "palisade_backend_up",
            "1 if all is well with the backend.",
            labels=["kind"],
        )
        health = engine.backend.health
        backend.add_metric([health.kind], float(not health.problem))
        yield backend
        yield from self._shadow()
        yield from self._sidecars()
        yield from self._decisions()

    def _sidecars(self) -> Iterable[Metric]:
        nodes = self._engine.cache.status()
        connected = GaugeMetricFamily(
            "palisade_sidecar_streams", "Connections of a function's sidecars.", labels=["function"]
        )
        current = GaugeMetricFamily(
            "palisade_sidecar_current", "1 if the sidecar runs the revision in force.", labels=["function"]
        )
        rejected = GaugeMetricFamily(
            "palisade_sidecar_rejected", "1 if the sidecar refused the last revision.", labels=["function"]
        )
        for name in self._engine.inventory.functions:
            node = nodes.get(name)
            connected.add_metric([name], node.streams if node else 0)
            current.add_metric([name], float(bool(node and node.running and node.running == node.offered)))
            rejected.add_metric([name], float(bool(node and node.rejection)))
        yield from (connected, current, rejected)

    def _shadow(self) -> Iterable[Metric]:
        shadow = self._engine.releases.shadow
        info = GaugeMetricFamily("palisade_shadow", "The shadow that is compared.", labels=["revision"])
        if shadow is not None and shadow.revision is not None:
            info.add_metric([shadow.revision.id], 1)
        yield info
        compared = CounterMetricFamily(
            "palisade_shadow_decisions", "Decisions compared with a shadow's.", labels=["outcome"]
        )
        for outcome in Outcome:
            compared.add_metric([str(outcome)], self._engine.shadowing.totals[outcome])
        yield compared

    def _decisions(self) -> Iterable[Metric]:
        stats = self._engine.decisions.stats
        yield CounterMetricFamily("palisade_decisions", "Decisions that were recorded.", value=stats.recorded)
        yield CounterMetricFamily(
            "palisade_decisions_lost",
            "Decisions that did not reach the decision log.",
            value=stats.dropped + stats.failed,
        )
        unlogged = CounterMetricFamily(
            "palisade_decisions_unlogged",
            "Decisions that sidecars gave up, for want of room; of a full disk at least so many.",
            labels=["function"],
        )
        for name in self._engine.inventory.functions:
            unlogged.add_metric([name], self._engine.access.unlogged[name])
        yield unlogged
        yield GaugeMetricFamily(
            "palisade_decisions_waiting", "Decisions that wait to be written.", value=stats.waiting
        )
        explanations = self._engine.explanations
        yield CounterMetricFamily(
            "palisade_decisions_explained", "Decisions that were explained.", value=explanations.explained
        )
        yield CounterMetricFamily(
            "palisade_decisions_unexplained",
            "Decisions that were to be explained, and were not.",
            value=explanations.missed,
        )
