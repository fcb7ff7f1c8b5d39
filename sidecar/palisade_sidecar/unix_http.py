"""HTTP/1.1 over a Unix socket, which the standard library's client has no word for."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path

MAX_PATH = 107
"""The longest path of a socket, in bytes: sockaddr_un.sun_path, without its final zero."""


class UnixConnection(http.client.HTTPConnection):
    """As the class it extends; `timeout` is in seconds."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
