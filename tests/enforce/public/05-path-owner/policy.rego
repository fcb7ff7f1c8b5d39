package envoy.authz

import rego.v1

import input.attributes.request.http as http_request

default allow := false

# /users/{id}/... belongs to the user with that id.
allow if {
	["users", user_id] = array.slice(input.parsed_path, 0, 2)
	user_id == claims.sub
}

allow if {
	input.parsed_path = ["profiles", owner]
	http_request.method in {"GET", "PUT"}
	owner == claims.sub
}

allow if http_request.path == sprintf("/accounts/%s", [claims.sub])

allow if {
	http_request.method == "GET"
	claims.support == true
}

claims := io.jwt.decode_verify(trim_prefix(http_request.headers.authorization, "Bearer "), {"secret": "shared with the issuer"})[2]
