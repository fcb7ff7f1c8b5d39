"""Asking a running engine to do something: over its socket, which is for its own user alone."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from palisade.cli.exit_codes import CommandError, Exit
from palisade.cli.output import err, print_diagnostics
from palisade.files import reason
from palisade.policy import inventory_file
from palisade.rego.errors import Diagnostic, Location

_SECONDS = 120.0
"""Compiling a large set takes a while."""

_TICK = 10.0
"""Seconds. The engine sends an empty line each second where it has nothing to tell."""

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients that use none: by default httpx reads the authorities of the machine, which takes it 20 ms."""

StateFolder = Annotated[
    Path | None,
    typer.Option(
        "--state", metavar="DIR", help="The engine's state folder, should palisade.yaml not be readable."
    ),
]


def state_folder(file: Path, state: Path | None) -> Path:
    """The state folder of the engine of an inventory. Raises InventoryError, and CommandError if it lacks."""
    if state is None:
        return inventory_file.engine_of(file).state
    if not state.is_dir():
        raise CommandError(f"--state: {state} is no folder", hint="by default it is .palisade")
    return state


def ask(state: Path, action: str, asked: dict[str, Any]) -> dict[str, Any]:
    """What the engine answers to an order. Raises CommandError where it refuses, or is not there."""
    try:
        with _client(state) as client:
            response = client.post(f"/{action}", json=asked)
    except httpx.TransportError as error:
        raise _unreachable(state, error) from None
    if response.is_success and isinstance(answer := _json(response), dict):
        return answer
    raise _refused(response)


def stream(state: Path, what: str, *, until: float | None = None) -> Iterator[dict[str, Any]]:
    """What the engine tells as it happens, until it ends, or up to this moment of `time.monotonic`.

    Raises CommandError where it refuses, or is not there.
    """
    try:
        with _client(state) as client, client.stream("GET", f"/{what}", timeout=_TICK) as response:
            if not response.is_success:
                response.read()
                raise _refused(response)
            for line in response.iter_lines():
                if until is not None and time.monotonic() >= until:
                    return
                if line:
                    yield json.loads(line)
    except httpx.ReadTimeout:
        raise CommandError("the engine fell silent", Exit.UNREACHABLE) from None
    except httpx.TransportError as error:
        raise _unreachable(state, error) from None


def _json(response: httpx.Response) -> Any:
    return response.json() if response.headers.get("content-type", "").startswith("app") else {}


def _refused(response: httpx.Response) -> CommandError:
    """Prints the errors of policies that an answer has, and gives what it says of itself."""
    answer = _json(response)
    print_diagnostics(map(diagnostic, answer.get("errors", ())), err())
    return CommandError(answer.get("error") or response.text.strip(), Exit.FOUND, answer.get("hint", ""))


def diagnostic(error: dict[str, Any]) -> Diagnostic:
    """An error as the engine told it."""
    at = Location(error["file"], error["row"], error["col"])
    return Diagnostic(error["code"], error["message"], at, error["line"], error["hint"])


def _client(state: Path) -> httpx.Client:
    from palisade.control import announced

    path = announced.ask(state, announced.CONTROL)
    if not path:
        hint = "start one with: palisade serve -f palisade.yaml"
        raise CommandError(f"no engine with the state folder {state} runs here", Exit.UNREACHABLE, hint)
    transport = httpx.HTTPTransport(uds=path, verify=NO_TLS)
    return httpx.Client(transport=transport, base_url="http://engine", timeout=_SECONDS, trust_env=False)


def _unreachable(state: Path, error: Exception) -> CommandError:
    if isinstance(error, httpx.TimeoutException):
        return CommandError(f"the engine did not answer within {_SECONDS:.0f} s", Exit.UNREACHABLE)
    hint = "it ended, or belongs to another user; start one with: palisade serve -f palisade.yaml"
    return CommandError(f"the engine of {state} does not answer: {reason(error)}", Exit.UNREACHABLE, hint)
