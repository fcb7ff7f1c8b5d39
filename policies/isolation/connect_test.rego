package palisade.isolation_test

import data.palisade.isolation

edge(source, destination) := {"source": source, "destination": destination, "port": 8082}

test_a_named_edge_passes if {
	isolation.connect with input as edge("hello", "orders")
}

test_an_edge_has_a_direction if {
	not isolation.connect with input as edge("orders", "hello")
}

test_strangers_do_not_connect if {
	not isolation.connect with input as edge("hello", "billing")
	not isolation.connect with input as {}
}
