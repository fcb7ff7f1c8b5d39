package library.access_test

import rego.v1

import data.library.access

guest := {"id": "anonymous", "roles": ["guest"]}

test_guests_read_books if {
	access.granted with input as {"user": guest, "verb": "get", "of": {"kind": "books", "id": "1"}}
}

test_guests_lend_nothing if {
	not access.granted with input as {"user": guest, "verb": "post", "of": {"kind": "loans", "id": ""}}
}
