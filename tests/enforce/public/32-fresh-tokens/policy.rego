package envoy.authz

import rego.v1

import input.attributes.request.http as http_request

default allow := false

bearer := split(http_request.headers.authorization, " ")[1]

payload := claims if {
	io.jwt.verify_es256(bearer, json.marshal(data.jwks))
	[_, claims, _] := io.jwt.decode(bearer)
	claims.exp * 1000000000 > time.now_ns()
}

age := (time.now_ns() / 1000000000) - payload.iat

tenant := regex.find_all_string_submatch_n(`^/tenants/([a-z0-9-]+)/`, http_request.path, 1)[0][1]

# Reading needs a token of today, all else one of the last five minutes.
allow if {
	tenant == payload.tenant
	http_request.method == "GET"
	age < 86400
}

allow if {
	tenant == payload.tenant
	age < 300
}
