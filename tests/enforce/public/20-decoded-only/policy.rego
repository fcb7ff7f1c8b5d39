package istio.authz

import rego.v1

import input.attributes.request.http as http_request

default allow := false

# The mesh has verified the token: the policy only reads it.
payload := p if {
	[_, p, _] := io.jwt.decode(bearer_token)
}

bearer_token := t if {
	v := http_request.headers.authorization
	startswith(v, "Bearer ")
	t := substring(v, count("Bearer "), -1)
}

allow if {
	some role in payload.roles
	some grant in data.role_grants[role]
	grant.action == action
	grant.type == input.parsed_path[0]
}

action := {"GET": "read", "POST": "create", "PUT": "update", "DELETE": "delete"}[http_request.method]
