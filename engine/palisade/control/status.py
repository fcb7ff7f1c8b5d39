"""The state of the engine and its sidecars as JSON: what `palisade status` and the admin endpoint show."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from palisade.control import announced
from palisade.control.engine import Engine, Reload
from palisade.control.loading import Deployment, counted
from palisade.control.rollout import revision_of
from palisade.control.shadowing import Outcome
from palisade.control.shadows import Shadow
from palisade.decide.backends.interface import Health
from palisade.enforce.envoy.matchers.dealing import WORTH
from palisade.policy.history import Entry
from palisade.policy.inventory import Function
from palisade.rego.errors import Diagnostic
from palisade.xds import NodeStatus


def status(engine: Engine) -> dict[str, Any]:
    """Everything that a person who asks "is it well?" wants to know. Times are UTC, RFC 3339."""
    nodes = engine.cache.status()
    deployment = engine.deployment
    entry = engine.releases.journal.entry if deployment else None
    state = engine.inventory.engine.state
    functions = {
        name: _function(
            function,
            nodes.get(name),
            engine.rollout.wanted(name),
            announced.ask(state, announced.sidecar(name)),
        )
        | {"unlogged": engine.access.unlogged[name]}
        for name, function in engine.inventory.functions.items()
    }
    return {
        "healthy": not problems(engine),
        "problems": problems(engine),
        "waiting": [why for name, each in functions.items() if (why := _waits(name, each))],
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
            "note": entry.note if entry else None,
            "pinned": engine.releases.pinned,
            "modules": len(deployment.revision.policy_set.modules) if deployment else 0,
            "providers": [each.name for each in deployment.revision.providers] if deployment else [],
        },
        "canary": _canary(engine.rollout.canary, engine.releases.journal.canary),
        "shadow": shadow_status(engine) if engine.releases.shadow else None,
        "reload": _reload(engine.last) | {"count": engine.reloads, "failed": engine.failed_reloads},
        "functions": functions,
        "backend": _backend(engine.backend.health),
        "decisions": asdict(engine.decisions.stats)
        | {"unlogged": engine.access.unlogged.total()}
        | _explanations(engine),
    }


def _explanations(engine: Engine) -> dict[str, Any]:
    """How many decisions have an explanation in the log, and how many were to have one and have not."""
    found = engine.explanations
    return {"explained": found.explained, "unexplained": found.missed}


def problems(engine: Engine) -> list[str]:
    """What is wrong now, in sentences; nothing where all is well."""
    found = []
    if engine.deployment is None:
        found.append("no revision is in force: every sidecar answers as it does without one")
    if engine.last is not None and engine.last.errors:
        number = len(engine.last.errors)
        found.append(f"the files on disk have {number} error{'s' * (number > 1)} and are not in force")
    shadow = engine.releases.shadow
    if shadow is not None and shadow.errors:
        number = len(shadow.errors)
        found.append(f"the shadow in {shadow.folder} has {number} error{'s' * (number > 1)}")
    if shadow is not None and shadow.read is not None and shadow.revision is None:
        found.append(f"the shadow is not compared: {shadow.problem}")
    found += engine.warnings
    found += engine.keys.problems
    found += engine.answers.problems
    found += engine.releases.journal.lost
    if engine.releases.journal.problem:
        found.append(engine.releases.journal.problem)
    if backend := engine.backend.health.problem:
        found.append(f"backend: {backend}")
    if engine.decisions.problem:
        found.append(f"the decision log cannot be written: {engine.decisions.problem}")
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
    function: Function, node: NodeStatus | None, wanted: Deployment | None, address: str
) -> dict[str, Any]:
    enforcement = wanted.enforcements.get(function.name) if wanted else None
    shown: dict[str, Any] = {
        "listen": address if address and node and node.connected else str(function.listen),
        "tls": {"client_certificate": function.tls.client_certificate} if function.tls else None,
        "upstream": str(function.upstream),
        "connected": node.connected if node else False,
        "sidecars": node.streams if node else 0,
        "running": revision_of(node.running) if node and node.running else None,
        "running_since": _time(node.running_since) if node else None,
        "wanted": wanted.id if wanted else None,
        "offered": revision_of(node.offered) if node and node.offered else None,
        "rejection": None,
        "rules": asdict(counted(enforcement.coverage, wanted.revision.policy))
        if wanted and enforcement
        else None,
    }
    if node is not None and node.rejection is not None:
        shown["rejection"] = {
            "revision": revision_of(node.rejection.revision),
            "type": node.rejection.type_url,
            "detail": node.rejection.detail,
            "at": _time(node.rejection.at),
        }
    return shown


def _waits(name: str, function: dict[str, Any]) -> str:
    """Why what is in force is not so before a function; empty where it is. It may be meant so: functions that
    are scaled to none have no sidecar."""
    if not function["connected"]:
        return f"no sidecar of {name} is connected"
    if function["running"] != function["wanted"] and not function["rejection"]:
        return f"the sidecar of {name} does not run revision {function['wanted']} yet"
    return ""


def _backend(health: Health) -> dict[str, Any]:
    return {
        "kind": health.kind,
        "address": health.address or None,
        "healthy": not health.problem,
        "problem": health.problem or None,
        "since": _time(health.since),
    }


def _reload(last: Reload | None) -> dict[str, Any]:
    if last is None:
        return {"at": None, "seconds": None, "errors": [], "warnings": []}
    return {
        "at": _time(last.at),
        "seconds": round(last.seconds, 6),
        "errors": [diagnostic(each) for each in last.errors],
        "warnings": [diagnostic(each) for each in last.warnings],
    }


def shadow_status(engine: Engine) -> dict[str, Any]:
    """The shadow, and what came of comparing it since it and the revision in force are what they are."""
    shadow, deployment = engine.releases.shadow, engine.deployment
    if shadow is None:
        return {"folder": None}
    counts = engine.shadowing.counts
    return {
        "folder": str(shadow.folder),
        "revision": shadow.read.id if shadow.read else None,
        "since": _time(shadow.since),
        "compared": deployment is not None and deployment.shadow is not None,
        "requests": {str(each): sum(n for (_, o), n in counts.items() if o is each) for each in Outcome},
        "functions": {
            name: {str(outcome): counts[name, outcome] for outcome in Outcome}
            for name in sorted({name for name, _ in counts})
        },
        "notes": _notes(shadow, deployment),
        "errors": [diagnostic(each) for each in shadow.errors],
    }


def undecided(engine: Engine) -> list[dict[str, Any]]:
    """Why requests are undecided, with the latest of each. It tells of traffic: for the engine's own user."""
    return [
        {"function": function, "why": str(why), "requests": each.requests, "latest": each.latest}
        for (function, why), each in sorted(engine.shadowing.undecided.items())
    ]


def _notes(shadow: Shadow, deployment: Deployment | None) -> list[str]:
    notes = []
    if shadow.problem and shadow.read is not None and shadow.revision is None:
        notes.append(f"it is not compared: {shadow.problem}")
    elif shadow.read is not None and deployment is not None:
        if shadow.read.id == deployment.id:
            notes.append("it says what is in force")
        elif shadow.read.providers != deployment.revision.providers:
            notes.append("its providers differ: tokens are those that the providers in force have signed")
        whole = any(each.parts is None for each in deployment.enforcements.values())
        if deployment.shadow is not None and deployment.rules.total >= WORTH and whole:
            notes.append("sidecars get so many rules in one piece while it is set: edits take effect later")
    return notes


def _canary(canary: Deployment | None, entry: Entry | None) -> dict[str, Any] | None:
    if canary is None or entry is None:
        return None
    return {
        "revision": canary.id,
        "share": entry.share,
        "functions": sorted(canary.enforcements),
        "since": _time(entry.at),
    }


def diagnostic(error: Diagnostic) -> dict[str, Any]:
    """An error as JSON."""
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
