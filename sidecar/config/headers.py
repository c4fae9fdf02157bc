"""Names of headers."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator

from sidecar.authorization.header_names import folded
from sidecar.config.section import Matching, fault

TOKEN: Final = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
_NEVER_SET: Final = re.compile(
    r"authorization|host|content-length|transfer-encoding|connection|x-envoy-.*|x-accel-.*"
)
TAKEN_FOR_ONE: Final = "which upstreams may take for one, as they differ only in punctuation"


def _settable(name: str) -> str:
    if _NEVER_SET.fullmatch(folded(name)):
        raise fault(
            f"sets {name}, which steers the proxy or the connection and never comes from a "
            "token; choose another header"
        )
    return name


def one_of_each(headers: object) -> object:
    """Refuse two names that differ only in case or punctuation: some upstreams see one header."""
    seen: dict[str, str] = {}
    for name in (str(one).lower() for one in headers) if isinstance(headers, dict) else ():
        other = seen.get(folded(name), "")
        if name == other:
            raise fault(f"has header {name} twice: case makes no difference; remove one")
        if other:
            raise fault(f"has headers {other} and {name}, {TAKEN_FOR_ONE}; remove one")
        seen[folded(name)] = name
    return headers


HeaderName = Annotated[
    str,
    Matching(TOKEN, "the name of a header (RFC 9110, section 5.1)"),
    AfterValidator(str.lower),
]
"""In lower case, whatever the file has."""
NewHeader = Annotated[HeaderName, AfterValidator(_settable)]
"""A header that may be set for the upstream."""
