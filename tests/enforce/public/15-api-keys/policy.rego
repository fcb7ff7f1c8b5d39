package envoy.authz

import rego.v1

import input.attributes.request.http as http_request

default allow := false

client := data.clients[http_request.headers["x-api-key"]]

allow if {
	client.enabled
	http_request.method in client.methods
	some prefix in client.paths
	startswith(http_request.path, prefix)
}

allow if {
	data.clients[http_request.headers["x-api-key"]].admin == true
}
