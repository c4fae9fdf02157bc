"""What lies below the validator: whether a signature holds over a payload that is no claims set."""

from sidecar.token import base64url, jws
from sidecar.token.keyset import KeySet
from sidecar.token.reason import Reason, Refused

NO_CLAIMS = base64url.encode(b"{}").decode()


def verified_payload(token: str, keys: KeySet, algorithms: frozenset[str]) -> bytes:
    """The payload of a token in compact form, whatever its bytes are.

    Everything else is judged by the parts that the validator uses: the form, the header, the
    choice of keys, the signature. Raises Refused as they do.
    """
    header, payload, signature = three_parts(token)
    read = jws.parse(f"{header}.{NO_CLAIMS}.{signature}", 32)
    if read.critical:
        raise Refused(Reason.CRITICAL_HEADER_UNKNOWN, "no extension is understood here")
    if read.algorithm not in algorithms:
        raise Refused(Reason.ALGORITHM_NOT_ALLOWED, "not among those allowed")
    signed = f"{header}.{payload}".encode()
    candidates = keys.candidates(read.algorithm, read.key_id)
    if not any(key.verify(read.algorithm, signed, read.signature) for key in candidates):
        raise Refused(Reason.SIGNATURE_INVALID, "it holds with no key")
    try:
        return base64url.decode(payload.encode())
    except ValueError as error:
        raise Refused(Reason.TOKEN_MALFORMED, "the payload is not base64url") from error


def three_parts(token: str) -> tuple[str, str, str]:
    parts = token.split(".")
    if len(parts) != 3:
        raise Refused(Reason.TOKEN_MALFORMED, f"{len(parts)} parts")
    return parts[0], parts[1], parts[2]
