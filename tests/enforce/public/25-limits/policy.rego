package envoy.authz

import rego.v1

import input.attributes.request.http as http_request

default allow := false


recent if semver.compare(http_request.headers["x-client-version"], "2.4.0") >= 0

allow if {
	recent
	http_request.method == "GET"
	size := to_number(object.get(input.parsed_query, "size", ["20"])[0])
	size > 0
	size <= 100
}

allow if {
	recent
	http_request.method == "PUT"
	parts := split(trim(http_request.path, "/"), "/")
	count(parts) >= 2
	parts[count(parts) - 1] != "latest"
	to_number(http_request.headers["content-length"]) < 1048576
}

allow if http_request.path == "/upgrade"
