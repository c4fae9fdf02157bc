"""How servers are trusted over TLS, and why one is not."""

import ssl
from typing import Final

_HOSTNAME_MISMATCH: Final = 62
_ADDRESS_MISMATCH: Final = 64
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL."""


def trusting(ca_file: str | None) -> ssl.SSLContext:
    """Make a context for servers that this file, None: the system's certificates, vouches for.

    A certificate names its server in subjectAltName alone: its common name does not count (RFC
    9525, section 2). Raises OSError if the file can't be read.
    """
    context = ssl.create_default_context(cafile=ca_file)
    context.hostname_checks_common_name = False
    return context


def why_untrusted(error: ssl.SSLCertVerificationError) -> str:
    """Say what is wrong with the server's certificate, and what helps if it is the name."""
    if error.verify_code not in {_HOSTNAME_MISMATCH, _ADDRESS_MISMATCH}:
        return error.verify_message
    return (
        f"{error.verify_message.rstrip('.')}: no subjectAltName in it has this name, and its "
        "common name does not count; give the server a certificate with it, or write a name into "
        "the URL that it has"
    )
