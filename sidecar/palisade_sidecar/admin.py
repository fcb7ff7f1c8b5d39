"""Envoy's admin interface over its unix socket.

https://www.envoyproxy.io/docs/envoy/v1.40.0/operations/admin
"""

from __future__ import annotations

import asyncio
import http.client
import json
from pathlib import Path

from palisade_sidecar.settings import Address
from palisade_sidecar.unix_http import UnixConnection

_TIMEOUT = 2.0


class AdminError(Exception):
    """The admin interface gave no answer, or another one than was expected."""


class Admin:
    """Requests to one Envoy. Each may raise AdminError."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def ready(self) -> bool:
        """Whether Envoy is live: configured, with its ports open."""
        status, _ = await self._request("GET", "/ready")
        return status == 200

    async def listener(self, name: str) -> Address:
        """The address that a listener has really got."""
        listeners = json.loads(await self._ok("GET", "/listeners?format=json"))
        for listener in listeners.get("listener_statuses", ()):
            if listener.get("name") == name:
                address = listener["local_address"]["socket_address"]
                return Address(address["address"], address["port_value"])
        raise AdminError(f"Envoy has no listener {name}")

    async def stats(self, *names: str) -> dict[str, int]:
        """The counters and gauges of these names; those that Envoy has not made yet are left out."""
        pattern = "|".join(name.replace(".", r"\.") for name in names)
        found = json.loads(await self._ok("GET", f"/stats?format=json&filter=^({pattern})$"))
        return {stat["name"]: stat["value"] for stat in found["stats"] if "name" in stat}

    async def drain(self) -> None:
        """Close the listener of the function, and let responses end its connections."""
        await self._ok("POST", "/healthcheck/fail")
        await self._ok("POST", "/drain_listeners?inboundonly")

    async def reopen_logs(self) -> None:
        """Have the access log opened anew, by its name."""
        await self._ok("POST", "/reopen_logs")

    async def _ok(self, method: str, path: str) -> str:
        status, body = await self._request(method, path)
        if status != 200:
            raise AdminError(f"{method} {path} was answered with {status}: {body.strip()[:200]}")
        return body

    async def _request(self, method: str, path: str) -> tuple[int, str]:
        return await asyncio.to_thread(self._exchange, method, path)

    def _exchange(self, method: str, path: str) -> tuple[int, str]:
        connection = UnixConnection(self._socket, _TIMEOUT)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise AdminError(f"{method} {path} failed: {error or type(error).__name__}") from error
        finally:
            connection.close()


def admin_of(run_dir: Path) -> Admin:
    """The admin interface of the Envoy that runs in this folder."""
    return Admin(run_dir / "admin.sock")
