# Where a caller's request is served: what the router goes by is written by the policy, never by the caller.
package routes

import rego.v1

caller := input.attributes.metadataContext.filterMetadata["envoy.filters.http.jwt_authn"].jwt_payload.sub

contract := data.contracts[caller]

regions := {"north", "south"}

place := "own" if contract.secret

place := contract.region if {
	not contract.secret
	contract.region in regions
}

default answer := {
	"allowed": false,
	"http_status": 403,
	"headers": {"content-type": "application/json"},
	"body": `{"error":{"type":"forbidden","message":"no contract"}}`,
}

answer := {
	"allowed": true,
	"request_headers_to_remove": ["x-place", "x-tier"],
	"headers": {"x-place": place, "x-tier": contract.tier, "x-caller": caller},
	"response_headers_to_add": {"x-served-in": place},
} if place
