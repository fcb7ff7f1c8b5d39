# What Envoy tells of a request, as the application's own policy wants its input.
package envoy.authz

import rego.v1

import input.attributes.request.http

default allow := false

claims := io.jwt.decode(trim_prefix(http.headers.authorization, "Bearer "))[1]

caller := claims.sub if {
	claims.sub
} else := "anonymous"

roles := claims.roles if {
	claims.roles
} else := ["guest"]

question := {
	"user": {"id": caller, "roles": roles},
	"verb": lower(http.method),
	"of": {"kind": input.parsed_path[0], "id": name},
}

name := input.parsed_path[1] if {
	input.parsed_path[1]
} else := ""

allow if data.library.access.granted with input as question
