package envoy.authz

import rego.v1

import input.attributes.request.http as http_request

default allow := false


claims := io.jwt.decode(bearer)[1]

bearer := encoded if [_, encoded] := split(http_request.headers.authorization, " ")

fresh if claims.exp > time.now_ns() / 1000000000

allow if {
	fresh
	"admin" in claims.realm_access.roles
}

allow if {
	fresh
	http_request.method == "GET"
	some scope in split(claims.scope, " ")
	scope == concat(":", [input.parsed_path[0], "read"])
}
