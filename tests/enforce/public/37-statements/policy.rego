package store.authz

import rego.v1

import input.attributes.request.http
import input.attributes.metadataContext.filterMetadata["envoy.filters.http.jwt_authn"].jwt_payload as caller

# Statements as clouds have them: what is denied is, whatever else allows it. Actions and resources may have `*`.

default allow := false

allow if {
	applies("Allow")
	not applies("Deny")
}

action := data.actions[http.method]

resource := concat(":", ["store", split(trim_prefix(http.path, "/"), "?")[0]])

groups contains "everyone"

groups contains data.groups[caller.sub]

applies(effect) if {
	some group in groups
	some statement in data.statements[group]
	statement.Effect == effect
	some pattern in statement.Action
	glob.match(pattern, [":"], action)
	some covered in statement.Resource
	glob.match(covered, [], resource)
	met(statement)
}

met(statement) if not statement.Condition

met(statement) if net.cidr_contains(statement.Condition.Address, input.attributes.source.address.socketAddress.address)

met(statement) if statement.Condition.Agent == http.headers["user-agent"]
