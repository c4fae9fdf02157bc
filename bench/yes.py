"""An ext_authz server that says yes to everything, in the words of the sidecar.

`python -m bench.yes SOCKET TRANSPORT`
"""

import asyncio
import sys
from typing import Final

from envoy.config.core.v3 import base_pb2
from envoy.service.auth.v3 import external_auth_pb2
from google.rpc import code_pb2, status_pb2

from bench.empty import serve
from bench.work import AUDIENCE, FORWARDED, ISSUER, SUBJECT

SERVICE: Final = "envoy.service.auth.v3.Authorization"
METHOD: Final = "Check"
_TOKEN_ID: Final = "7d1f0c52-3a55-4a53-8f06-6a6f4f2f6f10"


def answer() -> bytes:
    """Just as long as the sidecar's, with as much for Envoy to do."""
    response = external_auth_pb2.CheckResponse(status=status_pb2.Status(code=code_pb2.OK))
    response.ok_response.headers_to_remove.append("authorization")
    for name, claim in FORWARDED.items():
        option = response.ok_response.headers.add()
        option.header.key, option.header.value = name, SUBJECT[claim]
        option.append_action = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    response.dynamic_metadata.update(
        {
            "issuer": "issuer",
            "consumer": "",
            "subject": SUBJECT["sub"],
            "token_id": _TOKEN_ID,
            "key_id": "RS256",
            "scopes": SUBJECT["scope"].split(),
            "rule": "",
            "claims": {
                **SUBJECT,
                "iss": ISSUER,
                "aud": AUDIENCE,
                "iat": 1,
                "exp": 2,
                "jti": _TOKEN_ID,
            },
        }
    )
    data: bytes = response.SerializeToString()
    return data


if __name__ == "__main__":
    asyncio.run(serve(SERVICE, METHOD, answer(), *sys.argv[1:]))
