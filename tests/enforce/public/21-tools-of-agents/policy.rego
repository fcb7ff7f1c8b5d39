package envoy.authz

import rego.v1

import input.attributes.request.http as http_request

default allow := false


call := json.unmarshal(http_request.body)

# Listing is free, using is not.
allow if call.method in {"initialize", "ping", "tools/list"}

allow if {
	call.method == "tools/call"
	call.params.name in data.tools[http_request.headers["x-agent"]]
}

allow if {
	http_request.method == "GET"
	http_request.path == "/health"
}
