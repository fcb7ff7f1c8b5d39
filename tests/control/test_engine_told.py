"""What the engine tells of itself: its status, its metrics, and what its admin endpoint answers."""

from __future__ import annotations

import asyncio
import json
import re
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest
from control_helpers import Following, Project, version
from shared_helpers import run, serving

from palisade.cli.status import show
from palisade.control import admin, announced
from palisade.control.engine import Engine
from palisade.control.metrics import render
from palisade.control.status import status

OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
METRICS = OPERATIONS.partition("\n## Metrics\n")[2].partition("\n## ")[0]


def test_the_status_tells_rules_that_need_the_engine_from_those_that_need_it_at_times(
    project: Project,
) -> None:
    """A person who reads that a rule is the engine's looks for what to change."""
    project.allow.write_text(
        "package palisade.identity\n\nimport input.attributes.request.http\n\n"
        'allow if http.method == "GET"\n\n'
        'allow if input.parsed_query.page[0] == "1"\n\n'
        'allow if crypto.sha256(http.path) == "00"\n'
    )

    async def session() -> None:
        async with Engine(project.file) as engine:
            shown = status(engine)["functions"]["hello"]
            assert shown["rules"] == {"native": 1, "conditional": 1, "residual": 1}

    run(session())


def test_the_admin_endpoint_tells_state_and_metrics(project: Project) -> None:
    async def session() -> None:
        async with Engine(project.file) as engine, admin.serve(engine) as address:
            assert announced.ask(engine.inventory.engine.state, announced.ADMIN) == str(address)
            async with httpx.AsyncClient(base_url=f"http://{address}", timeout=60) as client:
                shown = (await client.get("/status")).json()
                # The files may be read once more, just after they began to be watched.
                assert shown | {"reload": None} == status(engine) | {"reload": None}
                assert shown["healthy"] is True
                assert shown["revision"]["id"] == version(engine)
                assert shown["functions"]["hello"]["connected"] is False
                assert shown["functions"]["hello"]["rules"] == {"native": 1, "conditional": 0, "residual": 0}
                metrics = (await client.get("/metrics")).text
                assert f'palisade_revision{{revision="{version(engine)}"}} 1.0' in metrics
                assert "palisade_reloads_total" in metrics
                assert 'palisade_sidecar_streams{function="hello"} 0.0' in metrics
        assert announced.ask(project.root / ".palisade", announced.ADMIN) == ""

    run(session())


@pytest.mark.parametrize(
    "sent", [b"GET / HTTP/1.1\r\nauthorization: Bearer s3cret" + b"a" * 9_000, b"\0" * 9_000]
)
def test_what_is_no_http_is_refused_and_not_logged(
    project: Project, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever may connect could fill the disk by it, and what he sends may be secret."""

    async def session() -> bytes:
        async with Engine(project.file) as engine, admin.serve(engine) as address:
            reader, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(sent)
            answer = await reader.read()
            writer.close()
        return answer

    assert run(session()).startswith(b"HTTP/1.0 400 ")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_the_metrics_are_those_of_the_page(project: Project) -> None:
    """With the duration of the last reading, once there was one."""

    async def session() -> None:
        async with Engine(project.file) as engine:
            following, before = Following(engine), version(engine)
            project.open_path("/new")
            reload = await following.until(lambda each: each.revision != before)
            metrics = render(engine).decode()
            told = re.findall(r"^# TYPE (\w+)", metrics, re.MULTILINE)
            assert sorted(told) == sorted(re.findall(r"`(palisade_\w+)", METRICS))
            assert f"\npalisade_reload_seconds {reload.seconds}\n" in metrics

    run(session())


def test_the_duration_of_a_reading_is_until_sidecars_are_offered_it(project: Project) -> None:
    """Only reading and compiling were counted: `revision .. in 845 ms` stood there after half a minute."""

    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(0.3)
            self.send_error(503)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    async def session(keys: str) -> float:
        issuer = {"issuer": "https://a.example", "audiences": ["a"], "jwks_uri": f"http://{keys}/"}
        text = f"package palisade.identity\n\nproviders := {json.dumps({'a': issuer})}\n"
        project.allow.with_name("providers.rego").write_text(text)
        async with Engine(project.file) as engine:
            assert engine.last is not None
            return engine.last.seconds

    with serving(Slow) as keys:
        assert run(session(keys)) > 0.3


def test_decisions_that_are_in_no_log_are_shown(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    async def session() -> None:
        async with Engine(project.file) as engine:
            show(status(engine))
            assert "unlogged" not in capsys.readouterr().out
            engine.access.unlogged["hello"] += 3
            found = status(engine)
            assert (found["decisions"]["unlogged"], found["functions"]["hello"]["unlogged"]) == (3, 3)
            show(found)
            assert "unlogged  3 given up by the sidecar of hello" in capsys.readouterr().out
            assert b'palisade_decisions_unlogged_total{function="hello"} 3.0' in render(engine)
            # Of several sidecars of a function one was shown, as if it were the only one.
            listen = found["functions"]["hello"]["listen"]
            found["functions"]["hello"]["sidecars"] = 3
            show(found)
            assert f"{listen} and 2 more" in capsys.readouterr().out

    run(session())
