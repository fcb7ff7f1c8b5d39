package envoy.authz

import rego.v1

import input.attributes.request.http as http_request

reasons contains "no client is named" if not http_request.headers["x-client"]

reasons contains reason if {
	not http_request.method in {"GET", "HEAD", "POST"}
	reason := sprintf("the method %s is not allowed", [http_request.method])
}

reasons contains reason if {
	some prefix in data.internal
	startswith(http_request.path, prefix)
	reason := sprintf("%s is internal", [prefix])
}

allow := {"allowed": true} if count(reasons) == 0

allow := {
	"allowed": false,
	"http_status": 403,
	"headers": {"content-type": "application/json", "x-reasons": concat("; ", reasons)},
	"body": json.marshal({"path": http_request.path, "reasons": reasons, "count": count(reasons)}),
} if {
	count(reasons) > 0
}
