"""What Envoy writes of each request: one line in the run folder, which the sidecar hands on to the engine.

Envoy's own gRPC access log copies all metadata into a message for every request and forgets what it could
not deliver. A line costs a third of that, and waits on disk for as long as the engine is away.
https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/observability/access_log/usage
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from palisade_sidecar.peer import LOGGED_PRINCIPAL

FIELD_SEPARATOR = "\x1f"
"""A control character: HTTP lets none stand in a header or a path, and JSON escapes it."""

FILE = "decisions.log"

REVISION_STATE = "palisade.revision"
"""The filter state that `palisade.attributes` sets to the revision."""

FIELDS: dict[str, str] = {
    "start": "%START_TIME(%s%9f)%",
    "duration": "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:ns)%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(:PATH)%",
    "host": "%REQ(:AUTHORITY)%",
    "scheme": "%REQ(:SCHEME)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "user_agent": "%REQ(USER-AGENT)%",
    "referer": "%REQ(REFERER)%",
    "forwarded_for": "%REQ(X-FORWARDED-FOR)%",
    "content_type": "%REQ(CONTENT-TYPE)%",
    "content_length": "%REQ(CONTENT-LENGTH)%",
    "status": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "direct": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%",
    "revision": f"%FILTER_STATE({REVISION_STATE}:PLAIN)%",
    "result": "%DYNAMIC_METADATA(envoy.filters.http.rbac:enforced_engine_result)%",
    "rule": "%DYNAMIC_METADATA(envoy.filters.http.rbac:enforced_effective_policy_id)%",
    "shadow_result": "%DYNAMIC_METADATA(envoy.filters.http.rbac:shadow_engine_result)%",
    "shadow_rule": "%DYNAMIC_METADATA(envoy.filters.http.rbac:shadow_effective_policy_id)%",
    "answered": "%DYNAMIC_METADATA(envoy.filters.http.ext_authz:palisade:decision_id)%",
    "noted": "%DYNAMIC_METADATA(palisade.answer)%",
    "claims": "%DYNAMIC_METADATA(envoy.filters.http.jwt_authn)%",
}
"""The fields of a line, in order, as commands of Envoy. What is absent is empty; the last two are JSON, which
costs as much as all the others where there is any."""

# The engine logs its own decisions, and leaves their id in the metadata. The filter passes what has no such
# field, and of what has one only what is null; Envoy 1.40 does not look at `invert` here.
_UNKNOWN_TO_THE_ENGINE = {
    "metadata_filter": {
        "matcher": {
            "filter": "envoy.filters.http.ext_authz",
            "path": [{"key": "palisade"}, {"key": "decision_id"}],
            "value": {"null_match": {}},
        },
        "match_if_key_not_found": True,
    }
}


def access_log(run_dir: Path, *, callers: bool = False) -> dict[str, Any]:
    """The access log's configuration in the bootstrap. With `callers` a line ends with who called."""
    fields = [*FIELDS.values(), *([LOGGED_PRINCIPAL] if callers else ())]
    line = FIELD_SEPARATOR.join(fields) + "\n"
    return {
        "name": "envoy.access_loggers.file",
        "filter": _UNKNOWN_TO_THE_ENGINE,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": str(run_dir / FILE),
            "log_format": {"omit_empty_values": True, "text_format_source": {"inline_string": line}},
        },
    }
