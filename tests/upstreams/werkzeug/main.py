"""Serves the handlers of this test with Werkzeug's router and server: main.py PORT."""

import logging
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import quote

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PREFIXES = {
    "/public/hidden": "hidden",
    "/public": "public",
    "/internal": "internal",
    "/admin": "admin",
    "/reports": "reports",
}
"""The narrower first."""
ROUTES = Map(
    [
        *(
            Rule(f"{prefix}{rest}", endpoint=name)
            for prefix, name in PREFIXES.items()
            for rest in ("", "/", "/<path:rest>")
        ),
        Rule("/keys", endpoint="keys"),
        Rule("/", endpoint="other"),
        Rule("/<path:rest>", endpoint="other"),
    ]
)


def app(environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
    try:
        handler, _ = ROUTES.bind_to_environ(environ).match()
    except HTTPException as error:
        return error(environ, start)
    path = quote(Request(environ).path, safe="")
    return Response(headers={"X-Handler": handler, "X-Path": path})(environ, start)


logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
server = make_server("127.0.0.1", int(sys.argv[1]), app, threaded=True)
print("ready", flush=True)
server.serve_forever()
