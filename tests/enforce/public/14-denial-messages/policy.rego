package envoy.authz

import rego.v1

import input.attributes.request.http as http_request

allow := {
	"allowed": count(violations) == 0,
	"http_status": 403,
	"headers": {"content-type": "application/json"},
	"body": json.marshal({"violations": violations}),
}

violations contains "only GET and HEAD" if not http_request.method in {"GET", "HEAD"}

violations contains "an API key is needed" if not has_key

has_key if data.keys[http_request.headers["x-api-key"]]

violations contains "not in this region" if http_request.headers["x-region"] in {"north", "south"}
