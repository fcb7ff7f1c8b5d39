package palisade.identity_test

import data.palisade.identity

request(method, path, function) := {
	"attributes": {"request": {"http": {"method": method, "path": concat("/", array.concat([""], path))}}},
	"parsed_path": path,
	"function": function,
}

by(roles, call) := object.union(call, {"identity": {"provider": "demo", "claims": {"sub": "alice", "roles": roles}}})

test_nothing_passes_without_a_token if {
	not identity.allow with input as request("GET", ["orders"], "orders")
}

test_public_paths_are_open_for_reading if {
	identity.allow with input as request("GET", ["health"], "orders")
	not identity.allow with input as request("POST", ["health"], "orders")
}

test_a_public_name_deeper_in_the_path_opens_nothing if {
	not identity.allow with input as request("GET", ["orders", "health"], "orders")
}

test_a_reader_reads if {
	identity.allow with input as by(["reader"], request("GET", ["orders", "7"], "orders"))
	not identity.allow with input as by(["reader"], request("POST", ["orders"], "orders"))
}

test_a_clerk_writes_orders_only if {
	identity.allow with input as by(["clerk"], request("POST", ["orders"], "orders"))
	not identity.allow with input as by(["clerk"], request("GET", [""], "hello"))
}

test_one_of_several_roles_is_enough if {
	identity.allow with input as by(["guest", "clerk"], request("PUT", ["orders", "7"], "orders"))
}

test_an_unknown_role_grants_nothing if {
	not identity.allow with input as by(["guest"], request("GET", ["orders"], "orders"))
}

test_grants_come_from_data if {
	call := by(["guest"], request("DELETE", ["orders"], "orders"))
	grants := {"guest": [{"function": "orders", "methods": ["DELETE"]}]}
	identity.allow with input as call with data.identity.grants as grants
}
