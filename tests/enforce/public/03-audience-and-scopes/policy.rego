package envoy.authz

import rego.v1

import input.attributes.request.http as http_request

default allow := false

# What each endpoint asks for stands in data.json.
allow if {
	some endpoint in data.endpoints
	endpoint.method == http_request.method
	glob.match(endpoint.path, ["/"], http_request.path)
	endpoint.scope in scopes
}

scopes := split(claims.scope, " ")

claims := payload if {
	[valid, _, payload] := io.jwt.decode_verify(bearer_token, {
		"cert": json.marshal(data.jwks),
		"iss": "https://login.example.com/",
		"aud": "orders",
	})
	valid
}

bearer_token := t if {
	v := http_request.headers.authorization
	startswith(v, "Bearer ")
	t := substring(v, count("Bearer "), -1)
}
