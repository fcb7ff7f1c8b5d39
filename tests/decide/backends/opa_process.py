"""An OPA server as a process of its own, so that it can be down, hang and come back empty as real ones do."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

MISSING = "there is no OPA: name one in PALISADE_OPA, or let `make setup` install opa-golib-python-bindings"


def available() -> bool:
    return bool(os.environ.get("PALISADE_OPA")) or importlib.util.find_spec("opa_bindings") is not None


class Opa:
    """`start`, `stop`, `pause` and `resume` it. What it has is lost with `stop`."""

    def __init__(
        self,
        folder: Path,
        *,
        token: str = "",
        cert: Path | None = None,
        key: Path | None = None,
        client_ca: Path | None = None,
    ) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"http{'s' if cert else ''}://127.0.0.1:{self.port}"
        self._folder = folder
        self._token = token
        self._tls = {"cert": cert, "key": key, "client-ca": client_ca}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        real = os.environ.get("PALISADE_OPA")
        self._process = subprocess.Popen(self._real(real) if real else self._stand_in())
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.5).close()
                return
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """A request as someone else would send it."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        content: dict[str, Any] = {"content": body} if isinstance(body, str) else {"json": body}
        return httpx.request(
            method, self.url + path, headers=headers, trust_env=False, **(content if body is not None else {})
        )

    def policies(self) -> list[str]:
        return [each["id"] for each in self.call("GET", "/v1/policies").json()["result"]]

    def data(self) -> dict[str, Any]:
        """All documents but those that rules make."""
        found = self.call("GET", "/v1/data").json()
        result: dict[str, Any] = found["result"]
        return result

    def _stand_in(self) -> list[str]:
        command = [sys.executable, str(Path(__file__).with_name("opa_server.py")), "--port", str(self.port)]
        for name, path in self._tls.items():
            command += [f"--{name}", str(path)] if path else []
        return [*command, "--token", self._token] if self._token else command

    def _real(self, binary: str) -> list[str]:
        command = [binary, "run", "--server", "--addr", f"127.0.0.1:{self.port}", "--log-level", "error"]
        command += ["--set", "decision_logs.console=true"]
        names = {"cert": "tls-cert-file", "key": "tls-private-key-file", "client-ca": "tls-ca-cert-file"}
        for name, path in self._tls.items():
            command += [f"--{names[name]}", str(path)] if path else []
        authentication = ["tls"] if self._tls["client-ca"] else ["token"] if self._token else []
        for each in authentication:
            command += ["--authentication", each]
        if self._token:
            policy = self._folder / "authz.rego"
            rule = f'allow if input.identity == "{self._token}"'
            policy.write_text(f"package system.authz\n\ndefault allow := false\n\n{rule}\n")
            command += ["--authorization", "basic", str(policy)]
        return command
