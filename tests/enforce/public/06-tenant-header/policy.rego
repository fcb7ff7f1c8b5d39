package envoy.authz

import rego.v1

import input.attributes.request.http as http_request

default allow := false

tenant := http_request.headers["x-tenant-id"]

allow if {
	tenant_is_active
	tenant == claims.tenant
	plan_allows
}

# Operators may look into every tenant.
allow if {
	tenant_is_active
	"operator" in claims.roles
	http_request.method == "GET"
}

tenant_is_active if not data.tenants[tenant].suspended

plan_allows if data.plans[data.tenants[tenant].plan].paths[_] == input.parsed_path[0]

plan_allows if data.tenants[tenant].plan == "enterprise"

claims := payload if {
	[true, _, payload] = io.jwt.decode_verify(
		split(http_request.headers.authorization, "Bearer ")[1],
		{"cert": json.marshal(data.jwks), "aud": "api"},
	)
}
