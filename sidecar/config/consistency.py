"""What must hold between parts of the file.

Looked at in the values as they are written, so that a name that is there twice is found also
where something else is wrong with its bearers.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticCustomError

from sidecar.config.addresses import Address
from sidecar.config.document import Document
from sidecar.config.problems import Place, Problem, nearest, written
from sidecar.config.surroundings import Surroundings
from sidecar.token.request import ANY_CONSUMER
from sidecar.token.words import names, quoted


@dataclass(frozen=True, slots=True)
class _Value:
    """A value that no two may share, and where it stands."""

    document: Document
    place: Place
    value: str


def inconsistencies(document: Document, surroundings: Surroundings) -> Iterator[Problem]:
    """Every clash of names, keys, addresses and issuers, and every part that lacks another."""
    top = document.tree if isinstance(document.tree, dict) else {}
    yield from _taken("address", _addresses(document, top, surroundings))
    yield from _taken("name", _issuer_names(document, top))
    yield from _taken("name", _named(document, top, "signers", "name"))
    yield from _taken("issuer", _issuers(document, top))
    yield from _taken("name", _named(document, top, "subjects", "name"))
    yield from _taken("key_id", _key_ids(document, top))
    for setting in ("name", "key"):
        yield from _taken(setting, _consumers(document, top, surroundings, setting))
    yield from _hidden_consumers(document, top, surroundings)
    yield from _taken("name", _rule_names(document, top))
    yield from _lacking(document, top)
    yield from _unknown_issuers(document, top)
    yield from _unknown_parties(document, top, surroundings)
    yield from _unknown_subjects(document, top)


def _taken(what: str, values: Iterable[_Value]) -> Iterator[Problem]:
    first: dict[str, _Value] = {}
    for one in values:
        other = first.setdefault(one.value, one)
        if other is not one:
            file = "" if other.document is one.document else f" of {other.document.file}"
            line = other.document.line(other.place)
            yield one.document.problem(
                one.place,
                f"{what} {quoted(one.value)} is taken by {written(other.place)} in line "
                f"{line}{file}; choose another",
            )


def _addresses(
    document: Document, top: dict[str, Any], surroundings: Surroundings
) -> Iterator[_Value]:
    written_addresses = list(_named(document, top, "listeners", "address"))
    http = top.get("http")
    if isinstance(http, dict) and isinstance(http.get("address"), str):
        written_addresses.append(_Value(document, ("http", "address"), http["address"]))
    for one in written_addresses:
        try:
            address = Address.read(one.value, surroundings)
        except PydanticCustomError:
            continue
        if address.is_unix or address.port:
            yield _Value(document, one.place, str(address))


def _issuer_names(document: Document, top: dict[str, Any]) -> Iterator[_Value]:
    yield from _named(document, top, "issuers", "name")
    seen: set[str] = set()
    for one in _accepting(document, top, "name"):
        if one.value not in seen:
            yield one
        seen.add(one.value)


def _issuers(document: Document, top: dict[str, Any]) -> Iterator[_Value]:
    for one in _named(document, top, "issuers", "issuer"):
        if one.value != "*":
            yield one
    yield from _accepting(document, top, "issuer")


def _accepting(document: Document, top: dict[str, Any], setting: str) -> Iterator[_Value]:
    for place, signer in _members(top, "signers"):
        if signer.get("accept") is True and isinstance(signer.get(setting), str):
            yield _Value(document, (*place, setting), signer[setting])


def _key_ids(document: Document, top: dict[str, Any]) -> Iterator[_Value]:
    for place, signer in _members(top, "signers"):
        for inner, key in _members(signer, "keys"):
            if isinstance(key.get("key_id"), str):
                yield _Value(document, (*place, *inner, "key_id"), key["key_id"])


def _consumers(
    document: Document, top: dict[str, Any], surroundings: Surroundings, setting: str
) -> Iterator[_Value]:
    consumers = top.get("consumers")
    if isinstance(consumers, dict):
        for one in _named(document, consumers, "list", setting):
            yield _Value(document, ("consumers", *one.place), one.value)
    more = surroundings.consumers
    if more is not None and isinstance(more.tree, list):
        for one in _named(more, {"": more.tree}, "", setting):
            yield _Value(more, one.place[1:], one.value)


def _hidden_consumers(
    document: Document, top: dict[str, Any], surroundings: Surroundings
) -> Iterator[Problem]:
    """Consumers whose tokens would always be taken for those of an issuer."""
    consumers = top.get("consumers")
    if not isinstance(consumers, dict) or consumers.get("key_claim") != "iss":
        return
    issuers = {one.value: one for one in _issuers(document, top)}
    for one in _consumers(document, top, surroundings, "key"):
        if one.value in issuers:
            place = issuers[one.value].place
            yield one.document.problem(
                one.place,
                f"with key_claim: iss, tokens with the iss {quoted(one.value)} are those of "
                f"{written(place)} in line {document.line(place)}; choose another key",
            )


def _named(
    document: Document, parent: dict[str, Any], section: str, setting: str
) -> Iterator[_Value]:
    for place, member in _members(parent, section):
        if isinstance(member.get(setting), str):
            yield _Value(document, (*place, setting), member[setting])


def _members(parent: dict[str, Any], section: str) -> Iterator[tuple[Place, dict[str, Any]]]:
    members = parent.get(section)
    for index, member in enumerate(members if isinstance(members, list) else ()):
        if isinstance(member, dict):
            yield (section, index), member


def _lacking(document: Document, top: dict[str, Any]) -> Iterator[Problem]:
    """A part that would serve nothing without another that is not there."""
    consumers, signers = bool(top.get("consumers")), bool(top.get("signers"))
    accepted = consumers or bool(top.get("issuers")) or any(_accepting(document, top, "name"))
    served: set[str] = set()
    for place, listener in _members(top, "listeners"):
        services = _texts(listener.get("services"))
        served |= services
        if services & {"validate", "ext_authz"} and not accepted:
            yield document.problem(
                (*place, "services"),
                "would accept no token: add an issuer, a consumer or a signer with accept: true",
            )
        if "issue" in services and not (signers or consumers):
            yield document.problem(
                (*place, "services"),
                "issue needs something to sign with: add a signer or a consumer",
            )
    http = top.get("http")
    checks = "check" in _texts(http.get("serve") if isinstance(http, dict) else None)
    if checks and not accepted:
        yield document.problem(
            ("http", "serve"),
            "check would accept no token: add an issuer, a consumer or a signer with accept: true",
        )
    if "authorization" in top and not checks and "ext_authz" not in served:
        yield document.problem(
            ("authorization",),
            "would be ignored, as nothing serves ext_authz or check; add ext_authz to the services "
            "of a listener or check to http.serve, or remove it",
        )


def _unknown_issuers(document: Document, top: dict[str, Any]) -> Iterator[Problem]:
    """A caller token that has to be from an issuer that is not there."""
    known = _known_issuers(document, top)
    for place, listener in _members(top, "listeners"):
        caller_token = listener.get("caller_token")
        name = caller_token.get("issuer") if isinstance(caller_token, dict) else None
        if isinstance(name, str):
            yield from known.problem(document, (*place, "caller_token", "issuer"), name)


def _rule_names(document: Document, top: dict[str, Any]) -> Iterator[_Value]:
    for one in _named(document, _section(top, "authorization"), "rules", "name"):
        yield _Value(document, ("authorization", *one.place), one.value)


def _unknown_parties(
    document: Document, top: dict[str, Any], surroundings: Surroundings
) -> Iterator[Problem]:
    """Rules that need a token of an issuer or consumer that is not there."""
    issuers = _known_issuers(document, top)
    consumers = _known_consumers(document, top, surroundings)
    for place, rule in _members(_section(top, "authorization"), "rules"):
        require = _section(rule, "require")
        for setting, known in (("issuers", issuers), ("consumers", consumers)):
            if setting == "consumers" and _section(top, "consumers").get("store") is True:
                continue  # those in the store come and go
            names_given = require.get(setting)
            for index, name in enumerate(names_given if isinstance(names_given, list) else ()):
                if isinstance(name, str):
                    where = ("authorization", *place, "require", setting, index)
                    yield from known.problem(document, where, name)
        both = _texts(_section(rule, "require").get("issuers")) & _open_issuers(top)
        if len(both) > 1:  # whose keys would a token be tried with?
            yield document.problem(
                ("authorization", *place, "require", "issuers"),
                f'has {names(both)}, which each take any iss ("*"); keep one of them',
            )


def _open_issuers(top: dict[str, Any]) -> set[str]:
    """The issuers that take any `iss`, where they are named."""
    open_ones = (one for _, one in _members(top, "issuers") if one.get("issuer") == "*")
    return _texts([one.get("name") for one in open_ones])


@dataclass(frozen=True, slots=True)
class _Known:
    """Names that may be referred to."""

    what: str
    names: frozenset[str]
    remedies: Mapping[str, str]
    """For names that nearly are among them."""

    def problem(self, document: Document, place: Place, name: str) -> Iterator[Problem]:
        """That nothing has this name, if so, and what to do."""
        if name in self.names:
            return
        near = nearest(name, self.names)
        if name in self.remedies:
            remedy = self.remedies[name]
        elif near:
            remedy = f'did you mean "{near}"?'
        else:
            remedy = f"known are {names(self.names)}" if self.names else "add one"
        yield document.problem(place, f"no {self.what} has the name {quoted(name)}; {remedy}")


def _known_issuers(document: Document, top: dict[str, Any]) -> _Known:
    known = frozenset(one.value for one in _issuer_names(document, top))
    signers = {one.value for one in _named(document, top, "signers", "name")}
    remedy = "the signer of this name is none: give it accept: true"
    return _Known("issuer", known, dict.fromkeys(signers - known, remedy))


def _known_consumers(document: Document, top: dict[str, Any], surroundings: Surroundings) -> _Known:
    found = {one.value for one in _consumers(document, top, surroundings, "name")}
    return _Known("consumer", frozenset(found | {ANY_CONSUMER}), {})


def _section(parent: dict[str, Any], name: str) -> dict[str, Any]:
    section = parent.get(name)
    return section if isinstance(section, dict) else {}


def _unknown_subjects(document: Document, top: dict[str, Any]) -> Iterator[Problem]:
    """A directory that is named and not there, and one that is there and never asked."""
    there = frozenset(one.value for one in _named(document, top, "subjects", "name"))
    known = _Known("subject directory", there, {})
    asked = list(_named(document, top, "issuers", "subjects"))
    for one in asked:
        yield from known.problem(document, one.place, one.value)
    for one in _named(document, top, "subjects", "name"):
        if all(one.value != other.value for other in asked):
            yield document.problem(
                one.place,
                f"nobody asks {quoted(one.value)}; name it in an issuer's subjects, or remove it",
            )


def _texts(values: object) -> set[str]:
    return {one for one in values if isinstance(one, str)} if isinstance(values, list) else set()
