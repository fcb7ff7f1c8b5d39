"""What tells the filters that a request's body comes in chunks.

Envoy takes `transfer-encoding` out of a request before any filter sees it, so that one whose body comes in
chunks looks like one without a body. Before that, this has the value laid down under another name.
https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/extensions/http/early_header_mutation/header_mutation/v3/header_mutation.proto
"""

from __future__ import annotations

from typing import Any

CHUNKS_HEADER = "x-palisade-chunks"
"""Is there where the body comes in chunks. No policy sees it, and no function gets it. A client who sends it
has the engine asked where the sidecar could decide, as one who sends chunks does."""

_TYPE = "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"


def mark_chunks() -> dict[str, Any]:
    """The extension of the connection manager that lays the header down."""
    header = {"key": CHUNKS_HEADER, "value": "%REQ(TRANSFER-ENCODING)%"}
    return {
        "name": "palisade.chunks",
        "typed_config": {
            "@type": _TYPE,
            "mutations": [{"append": {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}],
        },
    }
