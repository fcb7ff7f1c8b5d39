"""OPA's REST API over OPA's own engine, for machines without an `opa`: `python opa_server.py --port N`.

Parsing, compiling and evaluating are those of OPA: opa-golib-python-bindings has OPA's Go library in it. What
is added here is what v1/server/server.go of OPA does around it: which status, which body and which code.
Two things differ, for want of them in the library: errors have no columns, and builtin errors are strict.
"""

from __future__ import annotations

import argparse
import copy
import json
import re
import ssl
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from opa_bindings import OpaEngine
from opa_bindings.engine import OpaError, OpaUndefinedError

_ERROR = re.compile(r"(?m)^(?:(?P<file>[^\n:]+):(?P<row>\d+): )?(?P<code>\w+): (?P<message>.+)")


class RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str, errors: list[Any] | None = None) -> None:
        self.status = status
        self.body = {"code": code, "message": message} | ({"errors": errors} if errors else {})


class Store:
    """Policies and documents. A change is compiled as a whole, and is in force only if it does compile."""

    def __init__(self) -> None:
        self.policies: dict[str, str] = {}
        self.data: dict[str, Any] = {}
        self.engine = OpaEngine()
        self.lock = threading.Lock()

    def put_policy(self, name: str, text: str) -> None:
        with self.lock:
            if self.policies.get(name) != text:
                self._change({**self.policies, name: text}, self.data)

    def delete_policy(self, name: str) -> None:
        with self.lock:
            if name not in self.policies:
                message = f'storage_not_found_error: policy id "{name}"'
                raise RefusedError(404, "resource_not_found", message)
            rest = {key: text for key, text in self.policies.items() if key != name}
            self._change(rest, self.data, "invalid_operation")

    def put_data(self, path: list[str], value: Any) -> None:
        with self.lock:
            data = copy.deepcopy(self.data)
            if not path:
                if not isinstance(value, dict):
                    raise RefusedError(400, "invalid_parameter", "root must be object")
                data = value
            else:
                parent = data
                for part in path[:-1]:
                    parent = parent.setdefault(part, {})
                    if not isinstance(parent, dict):
                        message = f"storage_write_conflict_error: {'/'.join(path)}"
                        raise RefusedError(404, "resource_conflict", message)
                parent[path[-1]] = value
            self._change(self.policies, data)

    def delete_data(self, path: list[str]) -> None:
        with self.lock:
            data = copy.deepcopy(self.data)
            parent: Any = data
            for part in path[:-1]:
                parent = parent.get(part) if isinstance(parent, dict) else None
            if not path or not isinstance(parent, dict) or path[-1] not in parent:
                message = f"storage_not_found_error: /{'/'.join(path)}: document does not exist"
                raise RefusedError(404, "resource_not_found", message)
            del parent[path[-1]]
            self._change(self.policies, data)

    def query(self, path: list[str], given: Any) -> dict[str, Any]:
        engine = self.engine
        # As OPA does it: what is a number in the path is one in the reference.
        steps = "".join(f"[{part if part.isdigit() else json.dumps(part)}]" for part in path)
        try:
            found = engine.eval_query(f"result = data{steps}", given)
        except OpaUndefinedError:
            return {}
        except OpaError as error:
            message = "error(s) occurred while evaluating query"
            raise RefusedError(500, "internal_error", message, _errors(error.message)) from None
        # As an OPA that keeps a decision log; without one it gives no id.
        decided = {"decision_id": str(uuid.uuid4())}
        return {**decided, "result": found[0]["result"]} if found else decided

    def _change(
        self, policies: dict[str, str], data: dict[str, Any], code: str = "invalid_parameter"
    ) -> None:
        engine = OpaEngine()
        try:
            for name, text in policies.items():
                engine.add_policy(name, text)
            engine.add_data(data)
            engine.eval_query("x = 1")
        except OpaError as error:
            message = "error(s) occurred while compiling module(s)"
            raise RefusedError(400, code, message, _errors(error.message)) from None
        self.policies, self.data, self.engine = policies, data, engine


def _errors(text: str) -> list[dict[str, Any]]:
    text = text.removeprefix("bundle activation failed: ")
    return [
        {
            "code": found["code"],
            "message": found["message"],
            "location": {"file": found["file"] or "", "row": int(found["row"] or 0), "col": 1},
        }
        for found in _ERROR.finditer(re.sub(r"(?m)^\d+ errors? occurred:\s*", "", text))
    ]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet
    store: Store
    token: str

    def do_GET(self) -> None:
        try:
            self._answer()
        except ConnectionError:
            self.close_connection = True

    do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 -- the names are the library's

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            if self.token and self.headers.get("Authorization") != f"Bearer {self.token}":
                raise RefusedError(401, "unauthorized", "request rejected by administrative policy")
            self._send(*self._route(body))
        except RefusedError as refused:
            self._send(refused.status, refused.body)

    def _route(self, body: bytes) -> tuple[int, Any]:
        path = urlsplit(self.path).path
        parts = [unquote(part) for part in path.split("/")[1:]]
        if path == "/health":
            return 200, {}
        if parts[:2] == ["v1", "policies"]:
            return self._policies("/".join(parts[2:]), body)
        if parts[:2] == ["v1", "data"]:
            return self._data([part for part in parts[2:] if part], body)
        raise RefusedError(404, "not_found", "404 page not found")

    def _policies(self, name: str, body: bytes) -> tuple[int, Any]:
        if self.command == "PUT":
            self.store.put_policy(name, body.decode())
            return 200, {}
        if self.command == "DELETE":
            self.store.delete_policy(name)
            return 200, {}
        if name not in self.store.policies:
            if self.path.rstrip("?") == "/v1/policies":
                return 200, {"result": [{"id": key, "raw": raw} for key, raw in self.store.policies.items()]}
            raise RefusedError(404, "resource_not_found", f'storage_not_found_error: policy id "{name}"')
        return 200, {"result": {"id": name, "raw": self.store.policies[name]}}

    def _data(self, path: list[str], body: bytes) -> tuple[int, Any]:
        try:
            given = json.loads(body) if body else {}
        except ValueError as error:
            raise RefusedError(400, "invalid_parameter", str(error)) from None
        if self.command == "PUT":
            self.store.put_data(path, given)
            return 204, None
        if self.command == "DELETE":
            self.store.delete_data(path)
            return 204, None
        if self.command == "POST" and "input" not in given:
            warning = {"code": "api_usage_warning", "message": "'input' key missing from the request"}
            return 200, self.store.query(path, None) | {"warning": warning}
        return 200, self.store.query(path, given.get("input"))

    def _send(self, status: int, body: Any) -> None:
        text = b"" if body is None else json.dumps(body).encode() + b"\n"
        self.send_response(status)
        if text:
            self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token", default="")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--client-ca")
    asked = parser.parse_args()
    Handler.store, Handler.token = Store(), asked.token
    ThreadingHTTPServer.request_queue_size = 128  # many connect at once
    server = ThreadingHTTPServer(("127.0.0.1", asked.port), Handler)
    server.daemon_threads = True
    if asked.cert:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(asked.cert, asked.key)
        if asked.client_ca:
            context.load_verify_locations(asked.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
