"""What `http.send` and `providers.aws.sign_req` ask of a request object."""

from __future__ import annotations

from palisade.rego.builtins.operands import Object, operand_error
from palisade.rego.builtins.terms import quote, show
from palisade.rego.errors import BuiltinError
from palisade.rego.values import Set

ALLOWED = frozenset(
    (
        "method",
        "url",
        "body",
        "enable_redirect",
        "force_json_decode",
        "force_yaml_decode",
        "headers",
        "raw_body",
        "tls_use_system_certs",
        "tls_ca_cert",
        "tls_ca_cert_file",
        "tls_ca_cert_env_variable",
        "tls_client_cert",
        "tls_client_cert_file",
        "tls_client_cert_env_variable",
        "tls_client_key",
        "tls_client_key_file",
        "tls_client_key_env_variable",
        "tls_insecure_skip_verify",
        "tls_server_name",
        "timeout",
        "cache",
        "force_cache",
        "force_cache_duration_seconds",
        "raise_error",
        "caching_mode",
        "max_retry_attempts",
        "cache_ignored_headers",
    )
)


def check_parameters(request: Object) -> None:
    """Raises BuiltinError for a parameter that is not known, or one that is missing."""
    unknown = Set(form for form in request if form not in ALLOWED)
    if len(unknown):
        raise operand_error(1, f"invalid request parameters(s): {show(unknown)}")
    missing = Set(name for name in ("method", "url") if name not in request)
    if len(missing):
        raise operand_error(1, f"missing required request parameters(s): {show(missing)}")


def flag(request: Object, name: str) -> bool:
    """A parameter that is true or false, the latter where it is not there. Raises BuiltinError."""
    value = request.get(name, False)
    if type(value) is not bool:
        raise BuiltinError(f"invalid value for {quote(name)} field: it must be true or false")
    return value
