package palisade.lib.request_test

import data.palisade.lib.request

call(method, path) := {
	"attributes": {"request": {"http": {"method": method, "headers": {"x-tenant": "a"}}}},
	"parsed_path": path,
}

test_names if {
	request.method == "GET" with input as call("GET", ["orders", "7"])
	request.section == "orders" with input as call("GET", ["orders", "7"])
	request.segments == ["orders", "7"] with input as call("GET", ["orders", "7"])
	request.headers["x-tenant"] == "a" with input as call("GET", ["orders"])
}

test_reading if {
	request.reading with input as call("HEAD", [""])
	not request.reading with input as call("DELETE", [""])
}
