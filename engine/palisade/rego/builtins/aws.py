"""Signing requests for Amazon's services, version 4.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from palisade.rego.builtins.encoding import marshal
from palisade.rego.builtins.http_requests import check_parameters
from palisade.rego.builtins.operands import Object, number, object_, operand_error, to_bytes, type_error
from palisade.rego.builtins.registry import builtin
from palisade.rego.builtins.terms import show
from palisade.rego.values import Set, Value

_REQUIRED = ("aws_access_key", "aws_region", "aws_secret_access_key", "aws_service")
_UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
# Proxies change these on the way.
_UNSIGNED = ("authorization", "user-agent", "x-amzn-trace-id")


@builtin("providers.aws.sign_req", pure=True)
def sign_req(request: Value, aws_config: Value, time_ns: Value) -> Object:
    """The request with the headers that sign it."""
    parameters, config = object_(request, 1), object_(aws_config, 1)
    _check_config(config)
    when = number(time_ns, 1)
    if type(when) is not int or not 0 <= when < 1 << 63:
        raise operand_error(3, "could not convert time_ns value into a unix timestamp")
    check_parameters(parameters)
    headers = parameters.get("headers", {})
    if type(headers) is not dict:
        raise type_error(0, headers, "object")
    wrong = [name for name in ("method", "url") if type(parameters[name]) is not str]
    if wrong:
        raise operand_error(1, f"invalid values for required request parameters(s): {show(Set(wrong))}")
    unsigned_payload = config.get("disable_payload_signing", False)
    if type(unsigned_payload) is not bool:
        raise operand_error(2, "invalid value for 'disable_payload_signing' in AWS config")
    own = {_string(name): _string(value) for name, value in headers.items()}
    body = _UNSIGNED_PAYLOAD if unsigned_payload else hashlib.sha256(_body(parameters)).hexdigest()
    signed = _sign(own, parameters["method"], parameters["url"], body, config, when)
    return {**parameters, "headers": {**own, **signed}}


def _check_config(config: Object) -> None:
    missing = [name for name in _REQUIRED if name not in config]
    if missing:
        raise operand_error(2, f"missing required AWS config parameters(s): {show(Set(missing))}")
    wrong = [name for name in _REQUIRED if type(config[name]) is not str]
    if wrong:
        raise operand_error(2, f"invalid values for required AWS config parameters(s): {show(Set(wrong))}")


def _string(value: Value) -> str:
    return value if type(value) is str else ""


def _body(parameters: Object) -> bytes:
    if "raw_body" in parameters:
        return to_bytes(_string(parameters["raw_body"]))
    return to_bytes(marshal(parameters["body"])) if "body" in parameters else b""


def _sign(
    own: dict[str, str], method: str, url: str, body_hash: str, config: Object, time_ns: int
) -> dict[str, str]:
    """The headers that the request needs besides its own."""
    parts = urlsplit(url)
    now = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC)
    stamp, day = f"{now:%Y%m%dT%H%M%SZ}", f"{now:%Y%m%d}"
    service, region = config["aws_service"], config["aws_region"]
    headers = {"host": parts.netloc.rpartition("@")[2], "x-amz-date": stamp}
    if service in ("s3", "glacier"):
        headers["x-amz-content-sha256"] = body_hash
    if token := _string(config.get("aws_session_token")):
        headers["x-amz-security-token"] = token
    signed = dict(headers)
    signed.update({name.lower(): value for name, value in own.items() if name.lower() not in _UNSIGNED})
    names = ";".join(sorted(signed))
    lines = [method, quote(parts.path, safe="/%:@!$&'()*+,;=~"), parts.query]
    lines += [f"{name}:{signed[name]}" for name in sorted(signed)]
    lines += ["", names, body_hash]
    scope = f"{day}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(to_bytes("\n".join(lines))).hexdigest()
    key = to_bytes(f"AWS4{config['aws_secret_access_key']}")
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, to_bytes(part), "sha256")
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    signature = hmac.digest(key, to_bytes(to_sign), "sha256").hex()
    headers["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={config['aws_access_key']}/{scope},"
        f"SignedHeaders={names},Signature={signature}"
    )
    return headers
