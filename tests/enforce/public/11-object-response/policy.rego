package envoy.authz

import rego.v1

import input.attributes.request.http as http_request

default allow := {
	"allowed": false,
	"headers": {"x-ext-auth-allow": "no"},
	"body": "Unauthorized Request",
	"http_status": 401,
}

allow := response if {
	http_request.method == "GET"
	startswith(http_request.path, "/public/")
	response := {"allowed": true, "headers": {"x-ext-auth-allow": "yes"}}
}

allow := response if {
	http_request.headers["x-api-version"] == "1"
	not startswith(http_request.path, "/public/")
	response := {
		"allowed": false,
		"http_status": 410,
		"headers": {"content-type": "application/json", "sunset": "Sat, 31 Dec 2022 23:59:59 GMT"},
		"body": json.marshal({"error": "version 1 has ended", "documentation": "https://api.example.com/v2"}),
	}
}

allow := response if {
	http_request.path == "/admin"
	http_request.headers["x-api-version"] == "2"
	response := {
		"allowed": true,
		"headers": {"x-validated-by": "security-checkpoint"},
		"request_headers_to_remove": ["x-internal-token"],
		"response_headers_to_add": {"cache-control": "no-store"},
	}
}
