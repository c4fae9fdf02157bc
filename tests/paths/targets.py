"""Request targets that a proxy, the sidecar and an upstream may read differently.

Each is made of a path with one to four confusions in it. The same seed gives the same targets.
"""

from collections.abc import Callable, Iterator
from random import Random
from typing import Final

PROTECTED: Final = (
    "internal/secret", "internal/a/b", "internal/", "internal", "admin/users", "admin/", "admin",
    "reports/1", "reports/", "reports", "keys",
    "public/hidden/a", "public/hidden/", "public/hidden",
)  # fmt: skip
OPEN: Final = (
    "public/a",
    "public/hiddena",
    "public/a/b.css",
    "public/",
    "public",
    "other",
    "x/y",
    "",
)

DOT: Final = (".", "%2e", "%2E", "%252e", "%u002e", "%c0%ae", "\uff0e", "%ef%bc%8e", ".%00")
SLASH: Final = (
    "//", "/./", "///", "%2f", "%2F", "%252f", "%252F", "%5c", "%5C", "\\", "/\\", "\\/", "%255c",
    "/;/", "/;x=1/", "/.;/", "/.;x/", "/%3b/", ";/", ";x=1/", ";x=1;y=2/", "%3b/", "%3Bx/", ";%2f",
    "%c0%af", "%e0%80%af", "\uff0f", "%ef%bc%8f", "\u2215", "%u002f", "/%2e/", "/%20/", "/%00/",
    "/ /", "%00/", "%20/", "/%09/", "\t/", "/\x01/", "./", "/.%2f", "/..%2f..%2f",
)  # fmt: skip
BEHIND: Final = (
    "", "", "", ";", ";x", ";x=1", ";x=1;y=2", ";/", ";%2f", "%3b", "%3B", "%3bx=1", "%253b", "%00",
    "%20", " ", "%09", "\t", "%0a", "%0d", "%23", "%3f", "#", "?", "%2f", "%5c", "\\", ".", "%2e",
    ",", ":", "::$DATA", "~1", "*", "+", "%25", "%", "%zz", "%2", "%u0020", "\x01", "\x7f", "%7f",
    "\xa0", "%c2%a0", "\u200b", "\xe9", "%ff", "%c0%80", "\uff1b", "%ef%bc%9b", "@", "!", "'", '"',
    "<", ">", "^", "`", "{", "|", "}", "[", "]", "(", ")", "$", "&", "=", "%26", "%3d", "%40",
    "%7e",
)  # fmt: skip
MILD: Final = (
    ";", ";x", ";x=1;y=2", "/", "//", "%20", "%40", "%2B", "%2c", "%3a", "%c3%a9", "%C3%89", "@",
    ":", "+", ",", "!", "$", "&", "=", "(", "*", "~", ".", "..", ".json", "-", "_", "'", "%7e",
    "%5F",
)  # fmt: skip
END: Final = (
    "", "", "", "/", "//", "/.", "/..", "/..;/", "/..;/x", "/%2e%2e", "/%2e%2e;/x", "/..%2f",
    "/%2e%2e%2f", "/../..", "/..;/..;/x", "?", "?a=/../x", "?/../../x", "?a=b#c", "#", "#/../x",
    "#?", "%3f/../x", "%23/../../x", ".json", ".", "..", "%20", " ", ";", ";/", ";a=b", ";a=/../x",
    "/;", "/;/", "/x;", "%00", "%00.css", "/%00", ".css", ";.css", "%3b.css", "/.;", "/.%3b", "?;",
    "?%3f", "%0a", "\\", "/\\..\\..\\x", "/..\\..\\x", "/%5c..%5c..", "*", "/*", "/**",
    "/" + "a" * 4000, "/" + "../" * 60 + "x",
)  # fmt: skip
FRONT: Final = (
    "/", "/", "/", "/", "/", "//", "///", "/./", "/../", "/%2e/", "/.;/", "/..;/", "/;/", "/;x/",
    "/;x=1/", "/%3b/", "/%2f", "/%5c", "/\\", "\\", "\\/", "\\\\", "//admin@host/", "//host/",
    "//user:x@host/", "/@/", "http://shop.example.com/", "HTTP://shop.example.com/",
    "https://shop.example.com/", "http:/", "http://shop.example.com//", "http://shop.example.com\\",
    "http://shop.example.com", "", "http://user@shop.example.com/", "http://admin/", "http:///",
    "/http://host/", "//;/", "/%20/", "/ ", "/%00/", "/%09/", "/\t", "/?/", "/#/", "?/", ";/", "*",
    "*/", "/*/", "file:///", "ws://shop.example.com/",
)  # fmt: skip
KNOWN: Final = (
    "/internal/%2e%2e;/x", "/internal/..%3b/x", "/internal/secret/..;/..;/x",
    "/admin/users/..;/..;/x", "/internal/a/..;b/..;c/x", "/internal//../secret", "/admin//../users",
    "/a/internal/../..;/x", "/admin;x/users", "/admin;/users", "/reports;x/1", "/reports;/1",
    "/;/admin/users", "/;/internal/a", "/%61dmin/users", "/admin%2fusers",
    "/public/..;/admin/users", "/public/%2e%2e%2fadmin/users", "/public/../admin/users",
    "/public/..%5cadmin/users", "/ADMIN/users", "/Internal/x", "/keys/", "/keys;x", "/internal",
    "/admin", "/reports", "//admin/users", "http://shop.example.com/admin/users", "*", "/keys/.",
    "/internal/../x", "//x/internal/a", "/public//x", "/public//hidden/x",
    "/public/./hidden/x", "/public;/hidden/x", "/public/;/hidden/x", "/public/%68idden/x",
    "/public/Hidden/x", "/./public/a", "/;/public/a",
    "/internal/a/..\\..\\x", "/public/../x", "/internal%3Bx",
)  # fmt: skip
"""Those that got through once, and their like."""

ORDINARY: Final = {
    "/public/a": "public",
    "/public/": "public",
    "/public/css/site-2.1.min.css": "public",
    "/public/a%20b.png": "public",
    "/public/caf%C3%A9/%e2%82%ac.txt?x=%2F..%2F": "public",
    "/public/v1.2/.well-known": "public",
    "/public/..a/.b": "public",
    "/public/hidden.css": "public",
    "/internal-docs/a": "other",
    "/administrators": "other",
    "/reporting/2026": "other",
    "/": "other",
    "/?a=/../b&c=d;e": "other",
    "/orders": "other",
    "/orders/": "other",
    "/orders/2026-11-25/7": "other",
    "/orders/0189c3a2-5f7e-7cc0-9d3a-2f1b5c1f9e10/lines": "other",
    "/users/alice@example.com": "other",
    "/users/~alice/notes_1.txt": "other",
    "/urn:isbn:0451450523": "other",
    "/a+b,c/(d)!$&'*=e": "other",
    "/v1/orders:cancel": "other",
    "/search?q=a;b&next=/admin/users": "other",
    "/files/README.md?download": "other",
    "/%E6%97%A5%E6%9C%AC/%D1%8F": "other",
    "/A/B/Mixed.Case": "other",
    "/x?": "other",
    "/1/2/3/4/5/6/7/8/9/" + "a" * 500: "other",
    "/reports/1": "reports",
    "/reports/2026/q4.pdf?page=2": "reports",
    "/admin/users": "admin",
    "/admin/users/7%20b": "admin",
}
"""Paths that everybody reads alike, and their handlers."""


def targets(seed: int) -> Iterator[bytes]:
    """Those known, then others without end, each once."""
    random = Random(seed)  # noqa: S311 - it is no secret
    seen = set()
    for text in KNOWN:
        seen.add(text)
        yield text.encode()
    while True:
        text = one(random)
        if text not in seen and "\r" not in text and "\n" not in text:
            seen.add(text)
            yield _bytes(random, text)


def one(random: Random) -> str:
    """A target with confusions."""
    text = random.choice(SHAPES)(random)
    for _ in range(random.choice((0, 0, 0, 1, 1, 2))):
        text = random.choice(CHANGES)(random, text)
    front = random.choice(FRONT) if random.random() < 0.3 else "/"
    end = random.choice(END) if random.random() < 0.3 else ""
    return front + text + end


def _bytes(random: Random, text: str) -> bytes:
    """Mostly in UTF-8."""
    if random.random() < 0.1 and max(text, default="") <= "\xff":
        return text.encode("latin-1")
    return text.encode()


def _up(random: Random) -> str:
    """A segment that somebody takes for `..`."""
    if random.random() < 0.5:
        return random.choice(("..", "%2e%2e", "%2E%2e", ".%2e", "..")) + random.choice(BEHIND)
    return random.choice(DOT) + random.choice(DOT) + random.choice(BEHIND)


def _slash(random: Random) -> str:
    return random.choice(SLASH) if random.random() < 0.3 else "/"


def _ups(random: Random) -> str:
    return "".join(_up(random) + _slash(random) for _ in range(random.choice((1, 1, 2, 2, 3))))


def _protected(random: Random) -> str:
    return random.choice(PROTECTED)


def _out(random: Random) -> str:
    """Out of a path, for who resolves it."""
    return random.choice((*PROTECTED, *OPEN)) + _slash(random) + _ups(random) + random.choice(OPEN)


def _into(random: Random) -> str:
    """Into a protected path, for who resolves it."""
    return random.choice(OPEN) + _slash(random) + _ups(random) + _protected(random)


def _around(random: Random) -> str:
    """Back to a protected path, around segments that may count or not."""
    between = "".join(
        random.choice(("", "a", ".", ";", "%2e", ";x", "a;", "%20")) + _slash(random)
        for _ in range(random.choice((1, 2)))
    )
    return _protected(random) + _slash(random) + between + _ups(random) + _protected(random)


def _marked(random: Random) -> str:
    """A protected path with something behind its first segment."""
    first, slash, rest = _protected(random).partition("/")
    return first + random.choice(BEHIND) + (_slash(random) if slash else "") + rest


def _prefixed(random: Random) -> str:
    """A protected path with something in front of its first segment."""
    return random.choice((*BEHIND, *DOT)) + random.choice(("", "/")) + _protected(random)


def _mild(random: Random) -> str:
    """Segments with what some clients send, so that few of these are refused for a character."""
    names = (*PROTECTED, *OPEN, "hidden", "secret", "a", "..", "..", ".", "")
    segments = (
        random.choice(names) + (random.choice(MILD) if random.random() < 0.3 else "")
        for _ in range(random.randint(1, 5))
    )
    text = "/".join(segments)
    return text.title() if random.random() < 0.1 else text


SHAPES: Final[tuple[Callable[[Random], str], ...]] = (
    _out, _into, _around, _marked, _prefixed, _protected, _mild, _mild,
)  # fmt: skip


def _encoded(random: Random, text: str) -> str:
    """One character percent-encoded, once or twice, in either case."""
    place = random.randrange(len(text))
    data = text[place].encode("utf-8", "surrogatepass")
    form = random.choice(("%{:02x}", "%{:02X}", "%25{:02x}"))
    return text[:place] + "".join(map(form.format, data)) + text[place + 1 :]


def _wide(random: Random, text: str) -> str:
    """One character full-width, or overlong in UTF-8."""
    place = random.randrange(len(text))
    code = ord(text[place])
    if not 0x21 <= code < 0x7F:
        return text
    overlong = f"%c{code >> 6:x}%{0x80 | code & 0x3F:02x}"
    return text[:place] + random.choice((chr(code + 0xFEE0), overlong)) + text[place + 1 :]


def _inserted(random: Random, text: str) -> str:
    place = random.randrange(len(text) + 1)
    return text[:place] + random.choice((*BEHIND, *DOT, *SLASH)) + text[place:]


def _other_case(random: Random, text: str) -> str:
    place = random.randrange(len(text))
    return text[:place] + text[place:].swapcase()


def _other_slash(random: Random, text: str) -> str:
    places = [place for place, character in enumerate(text) if character == "/"]
    if not places:
        return text
    place = random.choice(places)
    return text[:place] + random.choice(SLASH) + text[place + 1 :]


def _deleted(random: Random, text: str) -> str:
    place = random.randrange(len(text))
    return text[:place] + text[place + 1 :]


def _changed(change: Callable[[Random, str], str]) -> Callable[[Random, str], str]:
    return lambda random, text: change(random, text) if text else text


CHANGES: Final = tuple(
    map(_changed, (_encoded, _wide, _inserted, _other_case, _other_slash, _deleted, _inserted))
)
