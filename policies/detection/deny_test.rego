package palisade.detection_test

import data.palisade.detection

call(method, path, headers) := {
	"attributes": {"request": {"http": {"method": method, "headers": headers}}},
	"parsed_path": path,
}

test_an_ordinary_request_shows_no_sign if {
	detection.deny == set() with input as call("GET", ["orders", "7"], {"accept": "*/*"})
}

test_tracing_is_an_attack if {
	count(detection.deny) == 1 with input as call("TRACE", [""], {})
}

test_secret_files_are_named if {
	messages := detection.deny with input as call("GET", ["app", ".env"], {})
	messages == {"the path asks for .env, which no function serves"}
}

test_httpoxy if {
	count(detection.deny) == 1 with input as call("GET", [""], {"proxy": "http://evil.example"})
}

test_signs_add_up if {
	count(detection.deny) == 3 with input as call("TRACE", [".git"], {"proxy": ""})
}

test_limits_are_numbers if {
	every limit in detection.limits {
		is_number(limit)
	}
}
