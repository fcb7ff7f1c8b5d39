"""An OPA server's REST API (https://www.openpolicyagent.org/docs/rest-api), by opa-python-client.

What the library leaves to its users, or loses, is added here: certificates and a token that may change while
the engine runs, what OPA says of an error, numbers to their last digit, and bounds on what is read.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from opa_client import AsyncOpaClient
from opa_client.errors import DeleteDataError, DeletePolicyError, PolicyNotFoundError, RegoParseError

from palisade.decide.backends.interface import BackendError
from palisade.decide.backends.opa_modules import MANIFESTS, REVISIONS, Place, Publication
from palisade.policy.inventory import OpaSettings
from palisade.rego import text
from palisade.rego.errors import EVAL_INTERNAL_ERROR, EvalError
from palisade.rego.values import UNDEFINED, Value

UNAVAILABLE = "backend_unavailable"
"""OPA cannot be reached, or turns the engine away."""
TIMEOUT = "backend_timeout"
"""OPA does not answer in time."""
INVALID_ANSWER = "backend_invalid_answer"
"""What answers is not OPA, or makes no sense."""

_WRITE_SECONDS = 30.0
"""OPA compiles all that it has with each module, which may take longer than a decision may."""
_MOST_BYTES = 4 << 20
"""A decision is small: what is longer is none."""
_CONNECTIONS = 64

# OPA's code for what is not there, and the client's where OPA's answer has no result.
_ABSENT, _UNDEFINED = "resource_not_found", "PolicyNotFoundError"
_REVISION = re.compile(r"r[0-9a-f]+")
_INVALID_PARAMETER = "invalid_parameter"


class RefusedError(Exception):
    """OPA refuses a policy or a document: what it says, and what it found where in its modules."""

    def __init__(self, message: str, errors: Iterable[dict[str, Any]] = ()) -> None:

        self.errors = tuple(errors)
        details = "; ".join(str(each.get("message", "")) for each in self.errors)
        super().__init__(f"{message}: {details}" if details else message)


class OpaServer:
    """One OPA. Use as an asynchronous context manager. Every method raises BackendError where it fails."""

    def __init__(self, settings: OpaSettings) -> None:
        """Raises OSError and ValueError for certificates that cannot be used."""
        self.url = settings.url
        self._client = _Client(settings)

    async def __aenter__(self) -> OpaServer:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close_connection()

    async def decide(self, path: str, document: Value) -> tuple[Value, str]:
        """The document at a path below `data`, for an input; UNDEFINED where there is none. And the id of the
        decision in OPA's own log; empty where it keeps none.

        Raises EvalError with OPA's code where the evaluation ends in an error.
        """
        with self._explained():
            answer = await self._client.query_rule(document, path)
        logged = answer.get("decision_id")
        return answer.get("result", UNDEFINED), logged if isinstance(logged, str) else ""

    async def has(self, place: Place) -> bool:
        """Whether a revision is there to be asked."""
        return bool(await self._get(f"{place.entry}/revision") == place.revision)

    async def manifests(self, engine: str) -> dict[str, list[str]]:
        """The policies of an engine that are there, or are put there or removed just now, by revision."""
        found = await self._get(f"{MANIFESTS}/{engine}")
        if not isinstance(found, dict):
            return {}
        manifests = {}
        for revision, manifest in found.items():
            listed = manifest.get("policies") if isinstance(manifest, dict) else None
            if _REVISION.fullmatch(revision) and isinstance(listed, list):
                own = f"{Place(engine, revision).policies}/"
                manifests[revision] = [each for each in listed if str(each).startswith(own)]
        return manifests

    async def put(self, publication: Publication) -> None:
        """Puts a revision there, or mends it. Raises RefusedError where OPA will not have it."""
        place = publication.place
        await self._put_data(place.manifest, {"policies": publication.removal})
        await self._put_data(place.base, publication.documents)
        for module in publication.policies:
            with self._explained(), self._refusals():
                # By default the client rewrites what OPA refuses, by regular expressions.
                await self._client.update_policy_from_string(module.text, module.id, rego_compat=False)

    async def remove(self, place: Place, policies: Iterable[str]) -> None:
        """Removes a revision, of which any part may be missing."""
        for policy in policies:
            await self.remove_policy(policy)
        await self.remove_documents(place)

    async def remove_policy(self, policy: str) -> None:
        """Removes one policy. OPA compiles what is left, so this takes a while where that is much."""
        with self._explained(), self._absent_is_fine():
            await self._client.delete_policy(policy)

    async def remove_documents(self, place: Place) -> None:
        """Removes what a revision has beside its policies."""
        for path in (place.base, place.manifest):
            with self._explained(), self._absent_is_fine():
                await self._client.delete_data(path)

    async def forget(self, engine: str) -> None:
        """Removes what is left of an engine whose revisions were removed."""
        for path in (f"{REVISIONS}/{engine}", f"{MANIFESTS}/{engine}"):
            with self._explained(), self._absent_is_fine():
                await self._client.delete_data(path)

    def renew(self) -> None:
        """Takes up a certificate that was renewed. Raises OSError."""
        self._client.renew()

    async def _get(self, path: str) -> Value:
        with self._explained():
            try:
                found: dict[str, Value] = await self._client.get_data(path)
            except PolicyNotFoundError as error:
                if error.expression == _UNDEFINED:
                    return UNDEFINED
                raise self._no(error.expression, error.message) from None
            return found["result"]

    async def _put_data(self, path: str, value: Value) -> None:
        with self._explained(), self._refusals():
            await self._client.update_or_create_data(value, path)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Says in a BackendError what went wrong with a call."""
        try:
            yield
        except (EvalError, RefusedError):
            raise
        except TimeoutError:
            raise BackendError(TIMEOUT, f"{self.url} gives no answer in time") from None
        except UnicodeEncodeError:
            message = "bytes that are no UTF-8 cannot be sent to OPA"
            raise EvalError(EVAL_INTERNAL_ERROR, message) from None
        except aiohttp.ContentTypeError as error:
            raise self._not_opa(error) from None
        except (aiohttp.ClientError, OSError) as error:
            raise BackendError(UNAVAILABLE, f"{self.url} cannot be reached: {_reason(error)}") from None
        except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
            # The client takes whatever answers for OPA, and trips over anything else.
            raise self._not_opa(error) from None

    def _not_opa(self, error: Exception) -> BackendError:
        message = f"what answers at {self.url} is not OPA: {type(error).__name__}"
        return BackendError(INVALID_ANSWER, message)

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """Tells what OPA refuses from what it cannot do."""
        try:
            yield
        except UnicodeEncodeError:
            raise RefusedError("bytes that are no UTF-8 cannot be sent to OPA") from None
        except RegoParseError as error:
            if error.errors or error.expression == _INVALID_PARAMETER:
                errors = [each for each in error.errors if isinstance(each, dict)]
                raise RefusedError(str(error.message), errors) from None
            raise self._no(error.expression, error.message) from None

    @contextmanager
    def _absent_is_fine(self) -> Iterator[None]:
        try:
            yield
        except (DeleteDataError, DeletePolicyError) as error:
            if error.expression != _ABSENT:
                raise self._no(error.expression, error.message) from None

    def _no(self, code: object, message: object) -> BackendError:
        return BackendError(UNAVAILABLE, f"{self.url} says no: {code}: {message}")


class _Client(AsyncOpaClient):  # type: ignore[misc]  # the library has no types
    """The library's client, for any URL, and with what it lacks."""

    def __init__(self, settings: OpaSettings) -> None:
        url = urlsplit(settings.url)
        secure = url.scheme == "https"
        super().__init__(url.hostname, url.port or 0, ssl=secure, retries=0, timeout=settings.timeout)
        self.root_url = f"{settings.url}/{self.version}"
        self._settings = settings
        self._context = ssl.create_default_context(cafile=settings.ca) if secure else None
        self._chain = _Changing(*filter(None, (settings.cert, settings.key)))
        self._token = _Changing(*filter(None, (settings.token,)))
        self._authorization: dict[str, str] = {}
        self.renew()

    def renew(self) -> None:
        """Reads again what has changed on disk. Raises OSError and ValueError."""
        cert, key, token = self._settings.cert, self._settings.key, self._settings.token
        if self._context is not None and cert is not None and key is not None:
            with self._chain.once() as changed:
                if changed:
                    self._context.load_cert_chain(cert, key)
        if token is not None:
            with self._token.once() as changed:
                if changed:
                    self._authorization = {"Authorization": f"Bearer {_token(token)}"}

    async def _init_session(self) -> None:
        self._connector = aiohttp.TCPConnector(ssl=self._context or True, limit=_CONNECTIONS)
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            timeout=aiohttp.ClientTimeout(total=self.timeout),
            json_serialize=text.dumps,
        )

    @asynccontextmanager
    async def _request(self, method: str, url: str, **kwargs: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """As the library's, and no redirect is followed: what is sent is for this server only."""
        kwargs["headers"] = {**(kwargs.get("headers") or {}), **self._authorization}
        if method in ("PUT", "DELETE"):
            kwargs["timeout"] = aiohttp.ClientTimeout(total=_WRITE_SECONDS, sock_connect=self.timeout)
        async with AsyncExitStack() as stack:
            send = super()._request
            try:
                response = await stack.enter_async_context(send(method, url, allow_redirects=False, **kwargs))
            except aiohttp.ClientConnectorError:
                raise
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                # The connection was kept from before, and OPA had closed it meanwhile.
                response = await stack.enter_async_context(send(method, url, allow_redirects=False, **kwargs))
            yield response

    async def query_rule(self, input_data: Value, package_path: str, *_: object) -> dict[str, Value]:
        """As the library's, with what OPA says of an error, which the library drops."""
        url = f"{self.root_url}/data/{package_path}"
        async with self._request("POST", url, json={"input": input_data}) as response:
            answer = text.loads(await _body(response))
            if not isinstance(answer, dict):
                raise TypeError("the answer is no object")
            if response.status == 200:
                return answer
            raise _failure(self._settings.url, response.status, answer)


def _reason(error: Exception) -> str:
    """Why no connection came about, without the address, which aiohttp tells twice."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return str(error.certificate_error)
    if isinstance(error, aiohttp.ClientConnectorError):
        cause, number = error.os_error, error.os_error.errno
        named = number is not None and number > 0 and not isinstance(cause, ssl.SSLError)
        return os.strerror(number or 0) if named else cause.strerror or str(cause)
    return str(error) or type(error).__name__


def _failure(url: str, status: int, answer: dict[str, Value]) -> EvalError:
    """What OPA says where it gives no decision: an error of the policy's, or one of its own."""
    errors = answer.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    if isinstance(first, dict) and str(first.get("code", "")).startswith("eval_"):
        return EvalError(str(first["code"]), str(first.get("message", "")))
    return BackendError(UNAVAILABLE, f"{url} says no: {status} {answer.get('code')}: {answer.get('message')}")


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > _MOST_BYTES:
            raise ValueError("the answer is too long")
    return bytes(body)


class _Changing:
    """Files that may change while they are in use."""

    def __init__(self, *paths: Path) -> None:
        self._paths = paths
        self._seen: list[tuple[int, int, int]] = []

    @contextmanager
    def once(self) -> Iterator[bool]:
        """Whether they have changed; true at first, and until the block ends without an error."""
        found = [(each.st_ino, each.st_size, each.st_mtime_ns) for each in map(Path.stat, self._paths)]
        yield found != self._seen
        self._seen = found


def _token(path: Path) -> str:
    """The token in a file. Raises OSError and ValueError, which never tell the token."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except UnicodeDecodeError:
        raise ValueError(f"{path} holds no token: it has characters that no header may have") from None
    if not token or not token.isprintable() or " " in token:
        raise ValueError(f"{path} holds no token: it must hold one word")
    return token
