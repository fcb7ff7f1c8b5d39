"""The state of the engine and its sidecars as JSON: what `palisade status` and the admin endpoint show."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from palisade.control import announced
from palisade.control.engine import Engine, Reload
from palisade.control.rollout import revision_of
from palisade.decide.backends.interface import Health
from palisade.enforce.envoy import Enforcement
from palisade.policy.inventory import Function
from palisade.rego.errors import Diagnostic
from palisade.xds import NodeStatus


def status(engine: Engine) -> dict[str, Any]:
    """Everything that a person who asks "is it well?" wants to know. Times are UTC, RFC 3339."""
    nodes = engine.cache.status()
    deployment = engine.deployment
    enforcements = deployment.enforcements if deployment else {}
    entry = engine.releases.entry if deployment else None
    state = engine.inventory.engine.state
    return {
        "healthy": not problems(engine),
        "problems": problems(engine),
        "engine": {
            "version": version("palisade"),
            "listen": str(engine.listen),
            "started": _time(engine.started),
            "inventory": str(engine.file),
            "policies": str(engine.inventory.policies),
            "decision": engine.inventory.decision,
        },
        "revision": {
            "id": deployment.id if deployment else None,
            "since": _time(engine.rollout.since),
            "cause": str(entry.cause) if entry else None,
            "pinned": engine.releases.pinned,
            "modules": len(deployment.revision.policy_set.modules) if deployment else 0,
            "providers": [each.name for each in deployment.revision.providers] if deployment else [],
        },
        "reload": _reload(engine.last) | {"count": engine.reloads, "failed": engine.failed_reloads},
        "functions": {
            name: _function(
                function,
                nodes.get(name),
                enforcements.get(name),
                announced.ask(state, announced.sidecar(name)),
            )
            for name, function in engine.inventory.functions.items()
        },
        "backend": _backend(engine.backend.health),
        "decisions": asdict(engine.decisions.stats),
    }


def problems(engine: Engine) -> list[str]:
    """What is wrong now, in sentences; nothing where all is well."""
    found = []
    if engine.deployment is None:
        found.append("no revision is in force: every sidecar answers as it does without one")
    if engine.last is not None and engine.last.errors:
        number = len(engine.last.errors)
        found.append(f"the files on disk have {number} error{'s' * (number > 1)} and are not in force")
    found += engine.warnings
    found += engine.keys.problems
    if engine.releases.problem:
        found.append(engine.releases.problem)
    if backend := engine.backend.health.problem:
        found.append(f"residual requests are denied for want of a backend: {backend}")
    for name, node in engine.cache.status().items():
        if name not in engine.inventory.functions:
            continue
        if node.rejection is not None:
            found.append(
                f"the sidecar of {name} refused revision {revision_of(node.rejection.revision)}: "
                f"{node.rejection.detail}"
            )
    return found


def _function(
    function: Function, node: NodeStatus | None, enforcement: Enforcement | None, address: str
) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "listen": address if address and node and node.connected else str(function.listen),
        "upstream": str(function.upstream),
        "connected": node.connected if node else False,
        "sidecars": node.streams if node else 0,
        "running": revision_of(node.running) if node and node.running else None,
        "running_since": _time(node.running_since) if node else None,
        "offered": revision_of(node.offered) if node and node.offered else None,
        "rejection": None,
        "rules": _rules(enforcement) if enforcement else None,
    }
    if node is not None and node.rejection is not None:
        shown["rejection"] = {
            "revision": revision_of(node.rejection.revision),
            "type": node.rejection.type_url,
            "detail": node.rejection.detail,
            "at": _time(node.rejection.at),
        }
    return shown


def _backend(health: Health) -> dict[str, Any]:
    return {
        "kind": health.kind,
        "address": health.address or None,
        "healthy": not health.problem,
        "problem": health.problem or None,
        "since": _time(health.since),
    }


def _rules(enforcement: Enforcement) -> dict[str, int]:
    """How many rules of the decision the sidecar decides, and how many may take the engine."""
    native = sum(each.native for each in enforcement.coverage)
    return {"native": native, "residual": len(enforcement.coverage) - native}


def _reload(last: Reload | None) -> dict[str, Any]:
    if last is None:
        return {"at": None, "seconds": None, "errors": []}
    return {
        "at": _time(last.at),
        "seconds": round(last.seconds, 6),
        "errors": [_diagnostic(each) for each in last.errors],
    }


def _diagnostic(error: Diagnostic) -> dict[str, Any]:
    return {
        "file": error.file,
        "row": error.row,
        "col": error.col,
        "code": error.code,
        "message": error.message,
        "line": error.line,
        "hint": error.hint,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
