"""One connection that asks and waits, in a process of its own so that nothing else takes its time.

    python -m bench.client SPEC      SPEC: a JSON file with targets and counts; prints the medians as JSON

Targets take turns in rounds, so that a machine that changes speed changes it for all of them.
"""

from __future__ import annotations

import json
import socket
import statistics
import sys
import time
from pathlib import Path
from typing import Any


class Connection:
    """A kept-alive HTTP/1.1 connection that sends one prepared request."""

    def __init__(self, port: int, request: bytes) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request

    def ask(self) -> tuple[int, int]:
        """The status, and the nanoseconds until the whole answer was there."""
        started = time.perf_counter_ns()
        self._socket.sendall(self._request)
        data = self._socket.recv(65536)
        while b"\r\n\r\n" not in data:
            more = self._socket.recv(65536)
            if not more:
                raise ConnectionError("the connection was closed")
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        while len(body) < length:
            body += self._socket.recv(65536)
        return int(head[9:12]), time.perf_counter_ns() - started


def prepared(method: str, path: str, headers: dict[str, str]) -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "host: bench",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def measure(targets: list[dict[str, Any]], rounds: int, each: int, warmup: int) -> dict[str, Any]:
    connections = {
        target["name"]: Connection(
            target["port"], prepared(target["method"], target["path"], target["headers"])
        )
        for target in targets
    }
    expected = {target["name"]: target["status"] for target in targets}
    found: dict[str, list[int]] = {name: [] for name in connections}
    medians: dict[str, list[float]] = {name: [] for name in connections}
    for turn in range(rounds + 1):
        for name, connection in connections.items():
            times = []
            for _ in range(each if turn else warmup):
                status, nanoseconds = connection.ask()
                if status != expected[name]:
                    raise SystemExit(f"{name}: answered with {status}, not {expected[name]}")
                times.append(nanoseconds)
            if turn:
                found[name].extend(times)
                medians[name].append(statistics.median(times))
    return {
        name: {"median": statistics.median(times), "rounds": medians[name]} for name, times in found.items()
    }


def main() -> None:
    spec = json.loads(Path(sys.argv[1]).read_text())
    print(json.dumps(measure(spec["targets"], spec["rounds"], spec["each"], spec["warmup"])))


if __name__ == "__main__":
    main()
