package sharing

import rego.v1

import input.attributes.request.http
import input.attributes.metadataContext.filterMetadata["envoy.filters.http.jwt_authn"].jwt_payload.sub as caller

# Who is what to which object, as relations in data: of itself, by a group, by the folder that it is in, or by a
# unit below that of the caller.

default allow := false

user := sprintf("user:%s", [caller])

object := sprintf("%s:%s", [kinds[input.parsed_path[0]], input.parsed_path[1]])

kinds := {"documents": "document", "folders": "folder"}

needed := {"GET": {"reader", "writer", "owner"}, "PUT": {"writer", "owner"}, "DELETE": {"owner"}}[http.method]

related(of) if {
	some relation in needed
	user in data.relations[of][relation]
}

related(of) if {
	some relation in needed
	some subject in data.relations[of][relation]
	user in data.groups[trim_prefix(subject, "group:")]
}

allow if related(object)

allow if related(data.relations[object].inside)

allow if {
	http.method == "GET"
	some unit in graph.reachable(data.units, [data.leads[caller]])
	unit == data.relations[object].unit
}
