# METADATA
# title: Requests that are attacks
# description: >-
#   Messages, one for each sign of an attack in a request; a request with any of them is denied, whoever sends it.
package palisade.detection

import data.palisade.lib.request

deny contains "a method that no function here serves" if {
	request.method in {"TRACE", "TRACK", "CONNECT"}
}

deny contains message if {
	some segment in request.segments
	segment in data.detection.secret_files
	message := sprintf("the path asks for %s, which no function serves", [segment])
}

deny contains message if {
	some name in data.detection.exploit_headers
	request.headers[name]
	message := sprintf("the header %s is used in exploits only", [name])
}
