# METADATA
# title: The request
# description: Short names for what most rules look at first.
package palisade.lib.request

# So that sets in the older Rego v0 can import it too.
import rego.v1

# METADATA
# description: The method, in upper case as clients send it.
method := input.attributes.request.http.method

# METADATA
# description: The request asks for something and changes nothing (RFC 9110, section 9.2.1).
reading if method in {"GET", "HEAD", "OPTIONS"}

# METADATA
# description: The headers, their names in lower case.
headers := input.attributes.request.http.headers

# METADATA
# description: The path's segments, without the query.
segments := input.parsed_path

# METADATA
# description: "The path's first segment: orders in /orders/7."
section := input.parsed_path[0]
