# METADATA
# title: Whose tokens are believed
# description: >-
#   OIDC issuers by name. The sidecars verify signature, issuer, audience and times of each token; a rule sees
#   only verified claims, as input.identity.
package palisade.identity

providers := data.identity.providers
