package envoy.authz

import input.attributes.request.http as http_request

default allow = false

jwks := json.marshal(data.jwks)

token = {"valid": valid, "payload": payload} {
	[_, encoded] := split(http_request.headers.authorization, " ")
	valid := io.jwt.verify_es256(encoded, jwks)
	[_, payload, _] := io.jwt.decode(encoded)
}

valid_token {
	token.valid
	now := time.now_ns() / 1000000000
	now < token.payload.exp
}

allow {
	valid_token
	token.payload.realm_access.roles[_] == "admin"
}

allow {
	valid_token
	http_request.method == "GET"
	token.payload.resource_access["orders"].roles[_] == "viewer"
	not startswith(http_request.path, "/admin")
}

allow {
	valid_token
	http_request.method == "OPTIONS"
}
