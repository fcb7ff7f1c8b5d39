package envoy.authz

import rego.v1

import input.attributes.request.http as http_request

default allow := false

is_graphql if {
	http_request.method == "POST"
	http_request.path == "/graphql"
}

allow if {
	is_graphql
	not is_mutation
	not introspection
}

allow if {
	is_graphql
	is_mutation
	http_request.headers["x-role"] == "editor"
	input.parsed_body.operationName in {"CreateOrder", "CancelOrder"}
}

allow if {
	http_request.method == "GET"
	http_request.path in {"/graphql/schema", "/playground"}
}

is_mutation if regex.match(`^\s*mutation\b`, input.parsed_body.query)

introspection if contains(input.parsed_body.query, "__schema")
