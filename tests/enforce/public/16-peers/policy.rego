package istio.authz

import rego.v1

import input.attributes.request.http as http_request

default allow := false

# Services by their SPIFFE IDs, and what each may call.
allow if {
	some grant in data.grants[input.attributes.source.principal]
	http_request.method in grant.methods
	startswith(http_request.path, grant.prefix)
}

# Probes come without an identity.
allow if {
	http_request.method == "GET"
	http_request.path in {"/healthz", "/readyz"}
}

allow if {
	startswith(object.get(input.attributes.source, "principal", ""), "spiffe://example.org/ns/monitoring/")
	http_request.path == "/metrics"
}
