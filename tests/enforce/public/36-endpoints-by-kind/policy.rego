package envoy.authz

import input.attributes.request.http

# Endpoints are public, for members of the project that a request names, or for administrators; those that stand
# in no list are for whoever is signed in. They are kept without a first slash, as the API's own list has them.

default allow = false

claims = c {
	bearer := http.headers.authorization
	startswith(bearer, "Bearer ")
	[_, c, _] := io.jwt.decode(substring(bearer, count("Bearer "), -1))
}

listed(kind) {
	some i
	data.endpoints[kind][i].method == http.method
	glob.match(trim(data.endpoints[kind][i].path, "/"), ["/"], concat("/", input.parsed_path))
}

project = input.parsed_query.project[0]

member_of[name] {
	some i
	data.bindings[i].user == claims.uid
	name := data.bindings[i].projects[_]
}

member_of[name] {
	some i
	data.bindings[i].user == "*"
	name := data.bindings[i].projects[_]
}

administrator {
	some i
	data.bindings[i].user == claims.uid
	data.bindings[i].role == "administrator"
}

allow { listed("public") }

allow { listed("administration"); administrator }

allow { listed("members"); member_of[project] }

allow { listed("members"); administrator }

allow {
	claims.uid
	not listed("members")
	not listed("administration")
}
