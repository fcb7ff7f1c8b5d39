package istio.authz

import rego.v1

import input.attributes.metadataContext.filterMetadata["envoy.filters.http.jwt_authn"].jwt_payload as jwt
import input.attributes.request.http as http_request

default allow := false

allow if http_request.path == "/health"

allow if "admin" in jwt.realm_access.roles

allow if {
	"user" in jwt.realm_access.roles
	http_request.method in {"GET", "HEAD"}
	not startswith(http_request.path, "/admin")
	split(http_request.path, "/")[2] == jwt.sub
}

# The namespace of the caller, by its certificate.
allow if split(input.attributes.source.principal, "/")[4] == "monitoring"
