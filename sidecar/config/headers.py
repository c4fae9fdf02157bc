"""Names of headers."""

import re
from collections import Counter
from typing import Annotated, Final

from pydantic import AfterValidator

from sidecar.config.section import Matching, fault

TOKEN: Final = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
_NEVER_SET: Final = re.compile(
    r"authorization|host|content-length|transfer-encoding|connection|x-envoy-.*|x-accel-.*"
)


def _settable(name: str) -> str:
    if _NEVER_SET.fullmatch(name):
        raise fault(
            f"sets {name}, which steers the proxy or the connection and never comes from a "
            "token; choose another header"
        )
    return name


def one_of_each(headers: object) -> object:
    """Two names that differ in case only are one header."""
    if isinstance(headers, dict):
        for name, count in Counter(str(one).lower() for one in headers).items():
            if count > 1:
                raise fault(f"has header {name} twice: case makes no difference; remove one")
    return headers


HeaderName = Annotated[
    str,
    Matching(TOKEN, "the name of a header (RFC 9110, section 5.1)"),
    AfterValidator(str.lower),
]
"""In lower case, whatever the file has."""
NewHeader = Annotated[HeaderName, AfterValidator(_settable)]
"""A header that may be set for the upstream."""
