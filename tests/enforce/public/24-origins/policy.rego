package envoy.authz

import rego.v1

import input.attributes.request.http as http_request

default result := {"allowed": false, "http_status": 403, "body": "origin not allowed"}

origin := http_request.headers.origin

known if origin in {"https://shop.example.com", "https://admin.example.com"}

known if endswith(origin, ".preview.example.com")

result := {
	"allowed": false,
	"http_status": 204,
	"headers": {
		"access-control-allow-origin": origin,
		"access-control-allow-methods": "GET, POST",
		"access-control-max-age": "600",
	},
} if {
	known
	http_request.method == "OPTIONS"
}

result := {
	"allowed": true,
	"headers": {"x-client": client},
	"response_headers_to_add": {"access-control-allow-origin": origin, "vary": "origin"},
} if {
	known
	http_request.method in {"GET", "POST"}
	client := http_request.headers["x-client-id"]
}
