package envoy.authz

import rego.v1

import input.attributes.request.http as http_request

default allow := false

allow if {
	input.parsed_path[0] == "search"
	input.parsed_query.version[0] in {"2", "3"}
	not debugging
}

debugging if "true" in input.parsed_query.debug

allow if {
	input.parsed_path == ["export"]
	input.parsed_query.format == ["csv"]
	http_request.headers["x-role"] == "analyst"
}

allow if {
	input.parsed_path[0] == "pages"
	to_number(input.parsed_query.size[0]) <= 100
}
