"""The long-running commands as processes: serve and sidecar apart, up together, and how they end."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import pytest
from shared_helpers import NO_TLS, free_port, serving

PALISADE = str(Path(sys.executable).with_name("palisade"))

ALLOW = """package palisade.identity

default allow := false

allow if input.parsed_path == ["open"]
"""


class _Function(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "6")
        self.end_headers()
        self.wfile.write(b"served")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def upstream() -> Iterator[str]:
    with serving(_Function) as address:
        yield address


@pytest.fixture
def project(tmp_path: Path, upstream: str) -> Path:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "allow.rego").write_text(ALLOW)
    (tmp_path / "palisade.yaml").write_text(
        "policies: ./policies\n"
        f"functions: {{hello: {{upstream: '{upstream}', listen: '127.0.0.1:0'}}}}\n"
        f"engine: {{listen: '127.0.0.1:{free_port()}', admin: '127.0.0.1:{free_port()}'}}\n"
    )
    return tmp_path


@contextmanager
def started(project: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command in the background, ended as a terminal would if the block has not ended it."""
    with (project / f"{arguments[0]}.out").open("w") as out:
        process = subprocess.Popen([PALISADE, *arguments], cwd=project, stdout=out, stderr=out, text=True)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.wait(60)


def status(project: Path) -> dict[str, Any]:
    """What the engine tells of itself; empty where none runs, also where its port is another's by now."""
    try:
        address = (project / ".palisade" / "addresses" / "engine-admin").read_text().strip()
        return httpx.get(f"http://{address}/status", verify=NO_TLS, trust_env=False, timeout=30).json()
    except (OSError, ValueError, httpx.HTTPError):
        return {}


def eventually(ask: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = ask()
        if found:
            return found
        time.sleep(0.03)
    pytest.fail(f"never came: {what}")


def connected(project: Path) -> str:
    """Where the sidecar of hello listens, once it runs the revision in force."""
    state = status(project)
    function = state.get("functions", {}).get("hello", {})
    ready = function.get("connected") and function.get("running") == state["revision"]["id"] is not None
    # A sidecar may run its revision a moment before it has told the port that it got.
    return function["listen"] if ready and not function["listen"].endswith(":0") else ""


def status_ends(project: Path, *options: str) -> int:
    """The exit code of `palisade status`."""
    return subprocess.run([PALISADE, "status", *options], cwd=project, capture_output=True).returncode


def answer(address: str, path: str) -> int:
    return httpx.get(f"http://{address}{path}", verify=NO_TLS, trust_env=False, timeout=30).status_code


@pytest.mark.long
def test_serve_and_sidecar_are_the_halves_of_up(project: Path) -> None:
    with started(project, "serve") as engine:
        eventually(lambda: status(project), "the engine's status")
        assert status(project)["waiting"] == ["no sidecar of hello is connected"]
        assert (status_ends(project), status_ends(project, "--engine-only")) == (1, 0)
        with started(project, "sidecar", "--function", "hello") as sidecar:
            address = eventually(lambda: connected(project), "a sidecar with the revision")
            assert status_ends(project) == 0
            assert (answer(address, "/open"), answer(address, "/closed")) == (200, 403)
            engine.kill()  # at a bad moment
            engine.wait()
            for _ in range(10):
                assert (answer(address, "/open"), answer(address, "/closed")) == (200, 403)
            policy = project / "policies" / "allow.rego"
            policy.write_text(ALLOW + '\nallow if input.parsed_path == ["new"]\n')
            with started(project, "serve"):
                eventually(lambda: answer(address, "/new") == 200, "the edit made while no engine ran")
                assert eventually(lambda: connected(project), "the sidecar again") == address
                # Both are told without --verbose: who reads of the one waits for the other.
                told = project / "sidecar.out"
                eventually(
                    lambda: "is back" in told.read_text(),
                    "the engine's return in the sidecar's log",
                )
                assert "hello: the engine at" in told.read_text()
                assert "is out of reach" in told.read_text()
            sidecar.send_signal(signal.SIGTERM)
            assert sidecar.wait(60) == 0
            with pytest.raises(httpx.ConnectError):
                answer(address, "/open")
    decisions = [
        json.loads(line) for line in (project / "serve.out").read_text().splitlines() if line[:1] == "{"
    ]
    assert {each["palisade"]["function"] for each in decisions} <= {"hello"}


@pytest.mark.long
def test_a_sidecar_that_never_had_a_revision_says_what_it_answers(project: Path) -> None:
    """It said that native decisions go on with the last one."""
    with started(project, "serve"):
        eventually(lambda: status(project), "the engine's status")  # it makes the sidecar's certificate
    with started(project, "sidecar", "--function", "hello"):
        told = project / "sidecar.out"
        eventually(lambda: "is out of reach" in told.read_text(), "word of the engine's absence")
        assert "there is no revision yet: every request is answered with 503" in " ".join(
            told.read_text().split()
        )
        assert "native decisions go on" not in told.read_text()


def test_who_looks_for_open_ports_is_no_news(project: Path) -> None:
    """gRPC told of each, past the log."""
    with started(project, "serve"):
        eventually(lambda: status(project), "the engine's status")
        host, _, port = (project / ".palisade" / "addresses" / "engine").read_text().strip().rpartition(":")
        for hello in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello"):
            with socket.create_connection((host, int(port)), timeout=30) as stranger:
                stranger.sendall(hello)
                while stranger.recv(1000):
                    pass
    assert "andshake" not in (project / "serve.out").read_text()


def test_up_ends_everything_that_it_started(project: Path) -> None:
    with started(project, "up") as up:
        address = eventually(lambda: connected(project), "a sidecar with the revision")
        assert answer(address, "/open") == 200
        children = subprocess.run(["pgrep", "-P", str(up.pid)], capture_output=True, text=True).stdout.split()
        assert children
        log = project / ".palisade" / "decisions.jsonl"
        eventually(lambda: log.exists() and "allow.rego:5" in log.read_text(), "a logged decision")
        up.send_signal(signal.SIGINT)
        assert up.wait(60) == 0
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(int(child), 0)
    shown = (project / "up.out").read_text()
    assert "Traceback" not in shown
    assert "allow GET    /open -> hello  200  native" in shown
    assert status(project) == {}


@pytest.mark.long
def test_a_second_engine_says_what_is_in_its_way(project: Path) -> None:
    with started(project, "serve"):
        eventually(lambda: status(project), "the engine's status")
        second = subprocess.run([PALISADE, "serve"], cwd=project, capture_output=True, text=True, timeout=60)
    assert second.returncode == 4
    assert "is another engine running there?" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_broken_edit_is_shown_with_its_line(project: Path) -> None:
    with started(project, "serve"):
        eventually(lambda: status(project), "the engine's status")
        (project / "policies" / "allow.rego").write_text(ALLOW + "\nallow if x\n")
        # A file that is just being written may be read empty first, which is an error of its first line.
        state = eventually(
            lambda: (s := status(project)) and [e["row"] for e in s["reload"]["errors"]] == [7] and s,
            "the error in line 7",
        )
        assert state["healthy"] is False
        shown = subprocess.run([PALISADE, "status"], cwd=project, capture_output=True, text=True)
        assert shown.returncode == 1
        assert "policies/allow.rego:7:10: rego_unsafe_var_error: var x is unsafe" in shown.stdout
        (project / "policies" / "allow.rego").write_text(ALLOW)
        eventually(lambda: status(project).get("healthy"), "the end of the error")
        (project / "policies" / "allow.rego").write_text(ALLOW + "\nallow if data.grants\n")
        warned = "policies/allow.rego:7:10: unresolved_reference: data.grants is undefined"
        eventually(lambda: warned in (project / "serve.out").read_text(), "the warning")
    told = (project / "serve.out").read_text()
    assert "1 error: revision" in told
    assert f"no errors: revision {state['revision']['id']} stays in force" in told


@pytest.mark.long
@pytest.mark.parametrize("command", [("up",), ("sidecar", "--function", "hello")])
def test_files_for_tls_that_cannot_serve_are_told_with_their_line(
    project: Path, command: tuple[str, ...]
) -> None:
    """And `serve`, whose machine need not have them, does not ask for them."""
    text = (project / "palisade.yaml").read_text()
    tls = "listen: '127.0.0.1:0', tls: {certificate: c.pem, key: k.pem}}}"
    (project / "palisade.yaml").write_text(text.replace("listen: '127.0.0.1:0'}}", tls))
    with started(project, "serve"):
        eventually(lambda: status(project), "the engine's status")
        if command[0] == "sidecar":
            ended = subprocess.run([PALISADE, *command], cwd=project, capture_output=True, text=True)
    if command[0] == "up":
        ended = subprocess.run([PALISADE, *command], cwd=project, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "palisade.yaml:2:" in ended.stderr
    assert "functions.hello.tls.certificate: there is no file" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.long
def test_a_sidecar_serves_https_where_the_inventory_says_so(project: Path) -> None:
    text = (project / "palisade.yaml").read_text()
    (project / "palisade.yaml").write_text(
        text.replace("listen: '127.0.0.1:0'}}", "listen: '127.0.0.1:0', tls: {}}}")
    )
    with started(project, "up"):
        address = eventually(lambda: connected(project), "a sidecar with the revision")
        context = ssl.create_default_context(
            cafile=str(project / ".palisade" / "credentials" / "hello" / "bundle.pem")
        )
        context.check_hostname = False
        response = httpx.get(f"https://{address}/open", verify=context, trust_env=False, timeout=30)
        assert response.status_code == 200
        shown = subprocess.run([PALISADE, "status"], cwd=project, capture_output=True, text=True)
        assert f"https://{address}" in shown.stdout.replace("\n", "")
    assert f"https://{address}" in (project / "up.out").read_text()
