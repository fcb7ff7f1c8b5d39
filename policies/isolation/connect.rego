# METADATA
# title: Which function may talk to which
# description: >-
#   Closed by default: a connection between two functions passes where data.isolation.calls names it. A function
#   is told by its name, which its certificate proves.
package palisade.isolation

default connect := false

connect if {
	some call in data.isolation.calls
	call.from == input.source
	call.to == input.destination
}
