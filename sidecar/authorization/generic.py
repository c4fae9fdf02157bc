"""General sentences for each reason, for clients that must not learn the configuration.

None of them depends on the token, on the request or on the configuration.
"""

from collections.abc import Mapping
from typing import Final

from sidecar.token.reason import Reason

GENERIC: Final[Mapping[Reason, str]] = {
    Reason.UNSPECIFIED: "the request is denied",
    Reason.TOKEN_MISSING: "no token was presented",
    Reason.TOKEN_MALFORMED: "the token is not a well-formed signed JSON Web Token",
    Reason.TOKEN_TOO_LARGE: "the token is too large",
    Reason.TYPE_NOT_ALLOWED: "tokens of this type are not accepted",
    Reason.CRITICAL_HEADER_UNKNOWN: "the token has a critical header that is not understood",
    Reason.ALGORITHM_NOT_ALLOWED: "the token's algorithm is not accepted",
    Reason.ISSUER_UNKNOWN: "the token's issuer is not accepted",
    Reason.ISSUER_MISMATCH: "the token is from another issuer than the one required",
    Reason.KEY_ID_MISSING: "the token does not name the key that it is signed with",
    Reason.KEY_NOT_FOUND: "the key that the token is signed with is unknown",
    Reason.KEY_MISMATCH: "the key that the token names does not fit its algorithm",
    Reason.KEY_TOO_WEAK: "the key that the token is signed with is too weak",
    Reason.KEYS_UNAVAILABLE: "the token can't be checked now; try again",
    Reason.SIGNATURE_INVALID: "the token's signature is invalid",
    Reason.CONSUMER_KEY_MISSING: "the token does not say which consumer it is from",
    Reason.CONSUMER_UNKNOWN: "the token's consumer is not accepted",
    Reason.EXPIRED: "the token has expired",
    Reason.NOT_YET_VALID: "the token is not valid yet",
    Reason.ISSUED_IN_FUTURE: "the token was issued in the future",
    Reason.TOO_OLD: "the token is too old",
    Reason.LIFETIME_TOO_LONG: "the token is valid for too long",
    Reason.AUDIENCE_MISMATCH: "the token is for another audience",
    Reason.CLAIM_MISSING: "a required claim is missing",
    Reason.CLAIM_MISMATCH: "a claim does not have a value that is accepted",
    Reason.REVOKED: "the token was revoked",
    Reason.SUBJECT_UNKNOWN: "the token's subject is unknown",
    Reason.SUBJECT_DISABLED: "the token's subject is disabled",
    Reason.STATE_UNAVAILABLE: "the token can't be checked now; try again",
    Reason.REPLAYED: "the token or its proof was used before",
    Reason.SCOPE_INSUFFICIENT: "the token does not grant the scopes that are needed",
    Reason.ADDRESS_DENIED: "the client's address is not allowed",
    Reason.PROOF_INVALID: "the proof that the client holds the token's key is missing or invalid",
    Reason.RULE_DENIED: "the request is not allowed",
}
