"""The page of reasons: what the contract, the code and real refusals say, and prose beside it."""

import re
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import code_pb2
from grpc_tools import protoc

from sidecar.api.errors import CODES
from sidecar.authorization.denial import deny
from sidecar.engine import FAILED
from sidecar.token.reason import ErrorReason, Reason
from sidecar.token.request import Refusal
from tests.refusals import REFUSALS, Case
from tests.tokens import judge

ROOT: Final = Path(__file__).parents[1]
WIDTH: Final = 100
PEERS: Final = {"apigee": "Apigee", "apisix": "APISIX", "envoy": "Envoy", "kong": "Kong"}
_TEXTS: Final = frozenset({"about", "causes", "do"})
_GROUPS: Final = re.compile(r"(?P<title>.+): \d+ to \d+\.")

_HEAD: Final = """\
<!-- Written by `make docs` from proto/, the code and docs/reasons.yaml: change those. -->

# Reasons

Why a token is refused. ValidateToken gives a reason as `reason`, with a sentence in `message`;
ext_authz gives it in the body and in
[dynamic metadata](envoy.md#dynamic-metadata-and-the-access-log). Numbers and names are stable:
alert and branch on these, never on a message. The names in the contract begin with `REASON_`, as in
`REASON_EXPIRED`.

The first check that fails gives the reason. The checks are made in
[this order](architecture.md#the-checks). The messages quoted are those of real refusals.

"Elsewhere" is what others say of the same failure: Apigee the fault code of [VerifyJWT][apigee],
APISIX the message of [jwt-auth][apisix] and, second, what it logs, Envoy the status of
[jwt_authn][envoy], Kong the message of [jwt][kong]. "Not checked": the source shows no such check.
"—": nothing that compares, or not found out.

[apigee]: https://cloud.google.com/apigee/docs/api-platform/reference/policies/verify-jwt-policy
[apisix]: https://github.com/apache/apisix/blob/master/apisix/plugins/jwt-auth.lua
[envoy]: https://github.com/envoyproxy/envoy/blob/main/source/common/jwt/status.cc
[kong]: https://github.com/Kong/kong/blob/master/kong/plugins/jwt/handler.lua

## All at once

Status and `error` are those of the HTTP answer over ext_authz (RFC 6750, section 3). ValidateToken
gives gRPC status OK with `valid: false` for all of them.

| reason | number | HTTP | `error` in `WWW-Authenticate` |
| --- | --- | --- | --- |
"""

_CALLS: Final = """
## Why a call fails

A request that can't be answered, as opposed to a token that is refused, ends with a gRPC status and
an ErrorInfo (domain `jwt-sidecar`) whose `reason` is one of these.

| reason | number | status | meaning |
| --- | --- | --- | --- |
"""


@dataclass(frozen=True, slots=True)
class Comment:
    """What the contract says of a value, and the title of the group that begins with it, if any."""

    meaning: str
    group: str


def page() -> str:
    """The whole of docs/reasons.md."""
    comments, prose, examples = _comments("Reason"), texts(), _examples()
    not_given = [one for one in reasons() if one not in given()]
    lines = [*_overview(), "", f"Not given yet: {_listed(not_given)}." if not_given else "", ""]
    for reason in reasons():
        comment = comments[f"REASON_{reason.name}"]
        if comment.group:
            lines += [f"## {comment.group}", ""]
        lines += _section(reason, comment.meaning, prose[reason.name], examples.get(reason))
    return _HEAD + "\n".join(lines).rstrip("\n") + "\n" + _CALLS + _calls() + "\n"


def reasons() -> list[Reason]:
    """Every reason but UNSPECIFIED, in the order of the numbers."""
    return sorted(set(Reason) - {Reason.UNSPECIFIED})


def given() -> frozenset[Reason]:
    """The reasons that some check or the engine can give."""
    found = _named_in_code("Reason", "denial.py")
    return frozenset(one for one in reasons() if one.name in found)


def texts() -> Mapping[str, Mapping[str, Any]]:
    """The prose by reason; raises ValueError for a key that the page would not show."""
    prose: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docs/reasons.yaml").read_text())
    for name, entry in prose.items():
        unknown = entry.keys() - _TEXTS - PEERS.keys()
        if unknown or name not in Reason.__members__:
            raise ValueError(f"docs/reasons.yaml: {name} is no reason, or has unknown {unknown}")
    return prose


def _overview() -> Iterator[str]:
    for reason in reasons():
        if reason in given():
            status, challenge = _http(reason)
            anchor = f"{reason.name.lower()}-{reason.value}"
            yield f"| [{reason.name}](#{anchor}) | {reason.value} | {status} | {challenge} |"


def _http(reason: Reason) -> tuple[int, str]:
    """The HTTP status, and what `WWW-Authenticate` says."""
    denial = deny(Refusal(reason, "m", scopes=("s",)), "r", True)
    challenge = denial.headers.get("www-authenticate")
    if challenge is not None:
        error = re.search(r'error="(\w+)"', challenge)
        says = f"`{error[1]}`" if error else "none: the challenge has the realm only"
    elif retry := denial.headers.get("retry-after"):
        says = f"no `WWW-Authenticate`; `Retry-After: {retry}`"
    else:
        says = "no `WWW-Authenticate`"
    return denial.http_status, says


def _section(
    reason: Reason, meaning: str, prose: Mapping[str, Any], example: str | None
) -> Iterator[str]:
    status, _ = _http(reason)
    yield from (f"### {reason.name} ({reason.value})", "")
    if example:
        yield from (f"> {example}", "")
    yield from _wrapped(f"{meaning} {prose.get('about', '')}".rstrip())
    if "causes" in prose:
        yield from _wrapped(f"**Usual causes:** {prose['causes']}")
    yield from _wrapped(f"**Do:** {prose['do']}")
    yet = "" if reason in given() else ", not given yet"
    said = [f"- {title}: {_quoted(prose.get(peer))}" for peer, title in PEERS.items()]
    elsewhere = [" Elsewhere:", "", *said] if PEERS.keys() & prose.keys() else [""]
    yield from ("", f"HTTP {status}{yet}." + elsewhere[0], *elsewhere[1:], "")


def _quoted(said: object) -> str:
    if isinstance(said, list):
        return ", ".join(f"`{one.strip()}`" for one in said)
    return "not checked" if said == "not checked" else "—"


def _calls() -> str:
    comments = _comments("ErrorReason")
    used = _named_in_code("ErrorReason", "errors.py")
    errors = [one for one in ErrorReason if one is not ErrorReason.UNSPECIFIED]
    rows = [
        f"| {one.name} | {one.value} | {code_pb2.Code.Name(CODES[one])} "
        f"| {comments[f'ERROR_REASON_{one.name}'].meaning} |"
        for one in errors
    ]
    not_given = [one for one in errors if one.name not in used]
    return "\n".join([*rows, *(["", f"Not given yet: {_listed(not_given)}."] if not_given else [])])


def _examples() -> dict[Reason, str]:
    """A message for each reason, from the first refusal of it in the tests' table."""
    found = {FAILED.reason: FAILED.message}
    for row in REFUSALS:
        case: Case = row.values[0]
        if case.reason not in found:
            parties = [case.party] if case.party else []
            verdict = judge(case.token, *parties, **(case.request or {}))
            if not isinstance(verdict, Refusal) or verdict.reason is not case.reason:
                raise ValueError(f"tests/refusals.py: no {case.reason.name} but {verdict}")
            found[case.reason] = verdict.message
    return found


def _comments(enum: str) -> dict[str, Comment]:
    """The comments of an enum's values in the contract, by name.

    A comment's path in a descriptor is fields' numbers and places: 5 are a file's enums, 2 an
    enum's values.
    """
    contract = _contract()
    index = [one.name for one in contract.enum_type].index(enum)
    values = contract.enum_type[index].value
    found = {}
    for location in contract.source_code_info.location:
        match list(location.path):
            case [5, number, 2, place] if number == index:
                groups = map(_GROUPS.fullmatch, map(_line, location.leading_detached_comments))
                title = next((one["title"] for one in groups if one), "")
                found[values[place].name] = Comment(_line(location.leading_comments), title)
    return found


def _contract() -> Any:
    with tempfile.TemporaryDirectory() as directory:
        written = Path(directory) / "descriptors"
        protoc.main(
            [
                "protoc",
                f"-I{ROOT / 'proto'}",
                "--include_source_info",
                f"--descriptor_set_out={written}",
                "sidecar/v1/reason.proto",
            ]
        )
        return FileDescriptorSet.FromString(written.read_bytes()).file[0]


def _named_in_code(enum: str, but_in: str) -> set[str]:
    """The names of an enum's values in the code, beside where it is defined or mapped."""
    sources = (
        path.read_text()
        for path in (ROOT / "sidecar").rglob("*.py")
        if path.name not in {"reason.py", but_in}
    )
    return set(re.findall(rf"\b{enum}\.([A-Z_]+)", "\n".join(sources)))


def _listed(members: list[Any]) -> str:
    return ", ".join(f"{one.name} ({one.value})" for one in members)


def _line(comment: str) -> str:
    return " ".join(comment.split())


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
