"""The HTTP client of `http.send`."""

from __future__ import annotations

import ssl
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import cache
from http import HTTPStatus

import httpx

from palisade.rego.builtins.encoding import marshal, unmarshal
from palisade.rego.builtins.http_kept import Answer, Keeping, Kept, keeping
from palisade.rego.builtins.http_requests import check_parameters, flag
from palisade.rego.builtins.network import check_host
from palisade.rego.builtins.operands import Object, from_bytes, object_, operand_error, to_bytes
from palisade.rego.builtins.registry import Context
from palisade.rego.builtins.terms import quote, show
from palisade.rego.builtins.time_parsing import parse_duration
from palisade.rego.errors import EVAL_CANCEL_ERROR, BuiltinError
from palisade.rego.values import Key, Value, type_name, unkey

_NETWORK_ERROR = "eval_http_send_network_error"
_INTERNAL_ERROR = "eval_http_send_internal_error"
_DEFAULT_TIMEOUT = 5.0
_MAX_BODY = 16 << 20
_MAX_REDIRECTS = 10
_KEPT = Kept()
"""One for all policies of the process: revisions come and go, and what they ask for stays."""


class _NetworkError(BuiltinError):
    """The request was sent, or tried to be, and no response came back."""


def send(ctx: Context, operand: Value) -> Object:
    """The response as an object. Raises BuiltinError, fatal for a host that may not be reached."""
    request = object_(operand, 1)
    known: Object | None = ctx.network.known.get(Key(request)) if ctx.network.known else None
    if known is not None:
        return known
    raise_error = request.get("raise_error", True)
    if type(raise_error) is not bool:
        raise BuiltinError("invalid value for raise_error field")
    key = ("http.send", Key(_identity(request)))
    cached = ctx.cache.get(key)
    if cached is None:
        try:
            check_parameters(request)
            answer = _answer(ctx, request, keeping(request))
            cached = _response(request, answer)
        except BuiltinError as error:
            if error.fatal:
                raise
            cached = error
        ctx.cache[key] = cached
    if not isinstance(cached, BuiltinError):
        response: Object = cached
        return response
    if raise_error:
        raise cached
    code = _NETWORK_ERROR if isinstance(cached, _NetworkError) else _INTERNAL_ERROR
    return {"status_code": 0, "error": {"code": code, "message": cached.message}}


def fetched(ctx: Context, request: Object, most: int) -> Object:
    """The response of a request that says `force_cache`, whatever was fetched before.

    Raises BuiltinError, also for one that is not to be kept and for a body of more than `most` bytes.
    """
    check_parameters(request)
    kept, answer = keeping(request), _retry(ctx, request, lambda: _exchange(ctx, request))
    if kept is None or kept.until(answer, ctx.now_ns) is None:
        raise BuiltinError(f"{_text(request, 'url')} answers with {answer.code} {answer.phrase}")
    if len(answer.body) > most:
        raise BuiltinError(f"{_text(request, 'url')} answers with more than {most} bytes")
    return _response(request, answer)


def _answer(ctx: Context, request: Object, kept: Keeping | None) -> Answer:
    """The answer, one of an earlier query where the request allows it and it is not too old."""
    if kept is None:
        return _retry(ctx, request, lambda: _exchange(ctx, request))
    # Who may reach other hosts must not be answered from what was fetched there.
    key = Key(_identity(request)), ctx.network.hosts
    known, found = _KEPT.get(key), None
    if known is not None:
        answer, until = known
        if ctx.now_ns < until:
            return answer
        _KEPT.drop(key)
        found = _renewed(ctx, request, answer, kept)
    if found is None:
        answer = _retry(ctx, request, lambda: _exchange(ctx, request))
        found = answer, kept.until(answer, ctx.now_ns)
    answer, end = found
    if end is not None:
        _KEPT.put(key, answer, end)
    return answer


def _renewed(ctx: Context, request: Object, old: Answer, kept: Keeping) -> tuple[Answer, int | None] | None:
    """What the server has in place of an answer that is too old, and until when that serves; None where it is
    to be asked as if for the first time."""
    asked = {"if-none-match": old.first("etag"), "if-modified-since": old.first("last-modified")}
    conditions = [(name, value) for name, value in asked.items() if value]
    if not conditions:
        return None
    answer = _exchange(ctx, request, conditions)
    if answer.code == HTTPStatus.NOT_MODIFIED:
        return old.renewed(answer.headers), kept.until_again(answer, ctx.now_ns)
    return (answer, kept.until(answer, ctx.now_ns)) if answer.code == HTTPStatus.OK else None


def _identity(request: Object) -> Object:
    """The request without the headers that are not to tell it from another one."""
    headers, ignored = request.get("headers"), request.get("cache_ignored_headers")
    if type(headers) is not dict or type(ignored) is not list:
        return request
    kept = {name: value for name, value in headers.items() if name not in ignored}
    return {**request, "headers": kept, "cache_ignored_headers": None}


def _text(request: Object, name: str) -> str:
    value = request.get(name, "")
    if type(value) is not str:
        raise BuiltinError(f"{quote(name)} must be a string")
    return value.strip('"')


def _retry(ctx: Context, request: Object, attempt: Callable[[], Answer]) -> Answer:
    """What the attempt gives; it is repeated as often as asked for while the network fails."""
    retries = request.get("max_retry_attempts", 0)
    if type(retries) is not int or retries < 0:
        raise BuiltinError(f"invalid value {show(retries)} for field max_retry_attempts")
    for tried in range(retries + 1):
        try:
            return attempt()
        except _NetworkError:
            if tried == retries:
                raise
            time.sleep(min(0.1 * 2**tried, _remaining(ctx, 60.0)))
    raise AssertionError("the last attempt returns or raises")


def _remaining(ctx: Context, limit: float) -> float:
    """Seconds: the limit, or what the evaluation has left. Raises a fatal BuiltinError at its end."""
    if ctx.deadline is None:
        return limit
    left = ctx.deadline - time.monotonic()
    if left <= 0:
        raise BuiltinError("timed out", EVAL_CANCEL_ERROR, fatal=True)
    return min(limit, left)


def _exchange(ctx: Context, request: Object, conditions: Iterable[tuple[str, str]] = ()) -> Answer:
    url = _url(_text(request, "url"))
    method = _text(request, "method").upper()
    transport, url = _transport(ctx, request, url)
    headers = [*_headers(request), *conditions]
    extensions = {"sni_hostname": name} if (name := _server_name(request, headers)) else {}
    try:
        with httpx.Client(
            transport=transport, timeout=_remaining(ctx, _timeout(request)), trust_env=False
        ) as client:
            for _ in range(_MAX_REDIRECTS + 1):
                check_host(ctx, url.host)
                built = client.build_request(
                    method, url, headers=headers, content=_body(request), extensions=extensions
                )
                response = client.send(built, stream=True)
                if response.next_request is None or not flag(request, "enable_redirect"):
                    return _read_whole(response)
                response.close()
                method, url = response.next_request.method, response.next_request.url
            raise _NetworkError(
                f"{method.title()} {quote(str(url))}: stopped after {_MAX_REDIRECTS} redirects"
            )
    except httpx.TimeoutException as error:
        _remaining(ctx, 0.0)  # the evaluation's own end is another error than the request's
        raise _NetworkError(f"{method.title()} {url}: request timed out") from error
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
        raise _NetworkError(f"{method.title()} {quote(str(url))}: {error}") from error


def _url(text: str) -> httpx.URL:
    try:
        return httpx.URL(text)
    except httpx.InvalidURL as error:
        raise BuiltinError(f"invalid URL {quote(text)}: {error}") from error


def _headers(request: Object) -> list[tuple[str, str]]:
    headers = request.get("headers", {})
    if type(headers) is not dict:
        raise BuiltinError("invalid type for headers key")
    for value in (part for pair in headers.items() for part in pair):
        if type(value) is not str:
            raise BuiltinError(f"invalid type for headers value {show(unkey(value))}")
    return list(headers.items())


def _server_name(request: Object, headers: list[tuple[str, str]]) -> str:
    hosts = [value for name, value in headers if name.lower() == "host"]
    return _text(request, "tls_server_name") or (hosts[0] if hosts else "")


def _body(request: Object) -> bytes:
    if "raw_body" in request:
        return to_bytes(_text(request, "raw_body"))
    return to_bytes(marshal(request["body"])) if "body" in request else b""


def _timeout(request: Object) -> float:
    """Seconds; the parameter is a number of nanoseconds or a duration with its unit."""
    value = request.get("timeout")
    if value is None:
        return _DEFAULT_TIMEOUT
    if type(value) is int:
        return value / 1e9 or _DEFAULT_TIMEOUT
    if type(value) is not str:
        raise operand_error(1, f"'timeout' must be one of {{string, number}} but got {type_name(value)}")
    return (int(value) if value.isdigit() else parse_duration(value)) / 1e9


def _transport(ctx: Context, request: Object, url: httpx.URL) -> tuple[httpx.HTTPTransport, httpx.URL]:
    if url.scheme == "unix" and "socket" in url.params:
        socket = url.params["socket"]
        no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # by default it would read the machine's authorities
        transport = httpx.HTTPTransport(uds=socket, verify=no_tls)
        return transport, url.copy_remove_param("socket").copy_with(scheme="http")
    return httpx.HTTPTransport(verify=_tls(ctx, request)), url


def _tls(ctx: Context, request: Object) -> ssl.SSLContext:
    authorities = [
        _text(request, "tls_ca_cert").replace("\\n", "\n"),
        _read(_text(request, "tls_ca_cert_file")),
        ctx.env.get(_text(request, "tls_ca_cert_env_variable"), ""),
    ]
    pairs, unverified = _client_certificates(ctx, request), flag(request, "tls_insecure_skip_verify")
    if not (any(authorities) or pairs or unverified):
        return _trusting_the_machines()
    own = any(authorities) and not flag(request, "tls_use_system_certs")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if own else ssl.create_default_context()
    try:
        for authority in filter(None, authorities):
            context.load_verify_locations(cadata=authority)
        for certificate, key in pairs:
            _load_pair(context, certificate, key)
    except (ssl.SSLError, ValueError, OSError) as error:
        raise BuiltinError(f"could not append certificates: {error}") from error
    if unverified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


@cache
def _trusting_the_machines() -> ssl.SSLContext:
    """For requests that say nothing of TLS: it trusts whom the machine does. Reading these authorities takes
    20 ms, and those that come later are trusted after the next start, as in OPA."""
    return ssl.create_default_context()


def _client_certificates(ctx: Context, request: Object) -> list[tuple[str, str]]:
    pairs = [
        (_text(request, "tls_client_cert"), _text(request, "tls_client_key")),
        (_read(_text(request, "tls_client_cert_file")), _read(_text(request, "tls_client_key_file"))),
        (
            ctx.env.get(_text(request, "tls_client_cert_env_variable"), ""),
            ctx.env.get(_text(request, "tls_client_key_env_variable"), ""),
        ),
    ]
    return [pair for pair in pairs if all(pair)]


def _read(path: str) -> str:
    if not path:
        return ""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeError) as error:
        raise BuiltinError(f"cannot read {path}: {error}") from error


def _load_pair(context: ssl.SSLContext, certificate: str, key: str) -> None:
    # Python's TLS takes a key from a file only; this one is readable by its owner, and gone right after.
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(f"{certificate}\n{key}\n")
        file.flush()
        context.load_cert_chain(file.name)


def _read_whole(response: httpx.Response) -> Answer:
    raw = bytearray()
    try:
        for chunk in response.iter_bytes():
            raw += chunk
            if len(raw) > _MAX_BODY:
                raise BuiltinError(f"the response is larger than {_MAX_BODY} bytes")
    finally:
        response.close()
    headers = tuple((name.lower(), value) for name, value in response.headers.multi_items())
    phrase = response.reason_phrase or _phrase(response.status_code)
    return Answer(response.status_code, phrase, headers, bytes(raw))


def _response(request: Object, answer: Answer) -> Object:
    headers: dict[str, list[Value]] = {}
    for name, value in answer.headers:
        headers.setdefault(name, []).append(value)
    return {
        "status": f"{answer.code} {answer.phrase}",
        "status_code": answer.code,
        "body": _decoded(request, answer.first("content-type"), answer.body),
        "raw_body": from_bytes(answer.body),
        "headers": headers,
    }


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _decoded(request: Object, content_type: str, raw: bytes) -> Value:
    """The body's value where its type says, or the request does, that it is JSON or YAML; else null."""
    media = content_type.partition(";")[0].strip().lower()
    is_json = media == "application/json" or (media.startswith("application/") and media.endswith("+json"))
    is_yaml = any(part in content_type for part in ("application/yaml", "application/x-yaml"))
    forced_json, forced_yaml = flag(request, "force_json_decode"), flag(request, "force_yaml_decode")
    try:
        if forced_json or (is_json and not forced_yaml):
            return unmarshal(raw)
        if forced_yaml or is_yaml:
            from palisade.rego.builtins import yaml_texts

            return yaml_texts.load(from_bytes(raw))
    except BuiltinError:
        if not (forced_json or forced_yaml):
            raise
    return None
