# METADATA
# title: How much of anything
# description: Rates, sizes and times that hold for every function; see the policy reference for the units.
package palisade.detection

limits := data.detection.limits
