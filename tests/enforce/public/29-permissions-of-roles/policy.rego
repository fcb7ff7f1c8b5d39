package envoy.authz

import rego.v1

import input.attributes.request.http as http_request

default allow := false

token := io.jwt.decode_verify(bearer, {"cert": json.marshal(data.jwks), "iss": "https://login.example.com/", "aud": "wiki"})

bearer := trim_prefix(http_request.headers.authorization, "Bearer ")

claims := token[2] if token[0]

# What all roles of the token may do together, without what has been taken from it.
granted := {permission |
	some role in claims.realm_access.roles
	some permission in data.permissions[role]
}

taken := {permission | some permission in claims.suspended}

missing := needed - (granted - taken)

needed := {permission | some permission in data.needed[http_request.method]}

allow if {
	count(needed) > 0
	count(missing) == 0
}

# A page of one's own, and of those who share it.
allow if {
	http_request.method in {"GET", "HEAD"}
	claims.sub in object.get(data.pages, [input.parsed_path[1], "readers"], [])
}
