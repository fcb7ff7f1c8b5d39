package palisade.lib.claims_test

import data.palisade.lib.claims

token(content) := {"identity": {"provider": "p", "claims": content}}

test_roles_of_every_maker if {
	claims.roles == {"a"} with input as token({"roles": ["a"]})
	claims.roles == {"b"} with input as token({"groups": ["b"]})
	claims.roles == {"c"} with input as token({"realm_access": {"roles": ["c"]}})
	claims.roles == {"a", "c"} with input as token({"roles": ["a"], "realm_access": {"roles": ["c"]}})
}

test_no_token_no_roles if {
	claims.roles == set() with input as {}
	claims.scopes == set() with input as {}
	not claims.subject with input as {}
}

test_scopes_as_string_or_array if {
	claims.scopes == {"read", "write"} with input as token({"scope": "read write"})
	claims.scopes == {"read"} with input as token({"scp": ["read"]})
}

test_subject if {
	claims.subject == "alice" with input as token({"sub": "alice"})
}
