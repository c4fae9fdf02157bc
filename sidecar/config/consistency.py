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


@dataclass(frozen=True, slots=True)
class _File:
    """The configuration as it is written, and what it refers to."""

    document: Document
    surroundings: Surroundings
    top: dict[str, Any]
    """Its sections."""

    def named(self, section: str, setting: str) -> Iterator[_Value]:
        """The values of a setting of all members of a section."""
        return _named(self.document, self.top, section, setting)


def inconsistencies(document: Document, surroundings: Surroundings) -> Iterator[Problem]:
    """Every clash of names, keys, addresses and issuers, and every part that lacks another."""
    top = document.tree if isinstance(document.tree, dict) else {}
    file = _File(document, surroundings, top)
    yield from _taken("address", _addresses(file))
    yield from _taken("name", _issuer_names(file))
    yield from _taken("name", file.named("signers", "name"))
    yield from _taken("issuer", _issuers(file))
    yield from _taken("name", file.named("subjects", "name"))
    yield from _taken("key_id", _key_ids(file))
    for setting in ("name", "key"):
        yield from _taken(setting, _consumers(file, setting))
    yield from _hidden_consumers(file)
    yield from _taken("name", _rule_names(file))
    yield from _lacking(file)
    yield from _unknown_issuers(file)
    yield from _unknown_parties(file)
    yield from _unknown_subjects(file)


def _taken(what: str, values: Iterable[_Value]) -> Iterator[Problem]:
    first: dict[str, _Value] = {}
    for one in values:
        other = first.setdefault(one.value, one)
        if other is not one:
            elsewhere = "" if other.document is one.document else f" of {other.document.file}"
            line = other.document.line(other.place)
            yield one.document.problem(
                one.place,
                f"{what} {quoted(one.value)} is taken by {written(other.place)} in line "
                f"{line}{elsewhere}; choose another",
            )


def _addresses(file: _File) -> Iterator[_Value]:
    written_addresses = list(file.named("listeners", "address"))
    http = _section(file.top, "http")
    if isinstance(http.get("address"), str):
        written_addresses.append(_Value(file.document, ("http", "address"), http["address"]))
    for one in written_addresses:
        try:
            address = Address.read(one.value, file.surroundings)
        except PydanticCustomError:
            continue
        if address.is_unix or address.port:
            yield _Value(file.document, one.place, str(address))


def _issuer_names(file: _File) -> Iterator[_Value]:
    yield from file.named("issuers", "name")
    seen: set[str] = set()
    for one in _accepting(file, "name"):
        if one.value not in seen:
            yield one
        seen.add(one.value)


def _issuers(file: _File) -> Iterator[_Value]:
    for one in file.named("issuers", "issuer"):
        if one.value != "*":
            yield one
    yield from _accepting(file, "issuer")


def _accepting(file: _File, setting: str) -> Iterator[_Value]:
    for place, signer in _members(file.top, "signers"):
        if signer.get("accept") is True and isinstance(signer.get(setting), str):
            yield _Value(file.document, (*place, setting), signer[setting])


def _key_ids(file: _File) -> Iterator[_Value]:
    for place, signer in _members(file.top, "signers"):
        for inner, key in _members(signer, "keys"):
            if isinstance(key.get("key_id"), str):
                yield _Value(file.document, (*place, *inner, "key_id"), key["key_id"])


def _consumers(file: _File, setting: str) -> Iterator[_Value]:
    for one in _named(file.document, _section(file.top, "consumers"), "list", setting):
        yield _Value(file.document, ("consumers", *one.place), one.value)
    more = file.surroundings.consumers
    if more is not None and isinstance(more.tree, list):
        for one in _named(more, {"": more.tree}, "", setting):
            yield _Value(more, one.place[1:], one.value)


def _hidden_consumers(file: _File) -> Iterator[Problem]:
    """Consumers whose tokens would always be taken for those of an issuer."""
    if _section(file.top, "consumers").get("key_claim") != "iss":
        return
    issuers = {one.value: one for one in _issuers(file)}
    for one in _consumers(file, "key"):
        if one.value in issuers:
            place = issuers[one.value].place
            yield one.document.problem(
                one.place,
                f"with key_claim: iss, tokens with the iss {quoted(one.value)} are those of "
                f"{written(place)} in line {file.document.line(place)}; choose another key",
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


def _lacking(file: _File) -> Iterator[Problem]:
    """A part that would serve nothing without another that is not there."""
    consumers, signers = bool(file.top.get("consumers")), bool(file.top.get("signers"))
    accepted = consumers or bool(file.top.get("issuers")) or any(_accepting(file, "name"))
    served: set[str] = set()
    for place, listener in _members(file.top, "listeners"):
        services = _texts(listener.get("services"))
        served |= services
        if services & {"validate", "ext_authz"} and not accepted:
            yield file.document.problem(
                (*place, "services"),
                "would accept no token: add an issuer, a consumer or a signer with accept: true",
            )
        if "issue" in services and not (signers or consumers):
            yield file.document.problem(
                (*place, "services"),
                "issue needs something to sign with: add a signer or a consumer",
            )
    checks = "check" in _texts(_section(file.top, "http").get("serve"))
    if checks and not accepted:
        yield file.document.problem(
            ("http", "serve"),
            "check would accept no token: add an issuer, a consumer or a signer with accept: true",
        )
    if "authorization" in file.top and not checks and "ext_authz" not in served:
        yield file.document.problem(
            ("authorization",),
            "would be ignored, as nothing serves ext_authz or check; add ext_authz to the services "
            "of a listener or check to http.serve, or remove it",
        )


def _unknown_issuers(file: _File) -> Iterator[Problem]:
    """A caller token that has to be from an issuer that is not there."""
    known = _known_issuers(file)
    for place, listener in _members(file.top, "listeners"):
        name = _section(listener, "caller_token").get("issuer")
        if isinstance(name, str):
            yield from known.problem(file.document, (*place, "caller_token", "issuer"), name)


def _rule_names(file: _File) -> Iterator[_Value]:
    for one in _named(file.document, _section(file.top, "authorization"), "rules", "name"):
        yield _Value(file.document, ("authorization", *one.place), one.value)


def _unknown_parties(file: _File) -> Iterator[Problem]:
    """Rules that need a token of an issuer or consumer that is not there."""
    issuers = _known_issuers(file)
    consumers = _known_consumers(file)
    for place, rule in _members(_section(file.top, "authorization"), "rules"):
        require = _section(rule, "require")
        for setting, known in (("issuers", issuers), ("consumers", consumers)):
            if setting == "consumers" and _section(file.top, "consumers").get("store") is True:
                continue  # those in the store come and go
            names_given = require.get(setting)
            for index, name in enumerate(names_given if isinstance(names_given, list) else ()):
                if isinstance(name, str):
                    where = ("authorization", *place, "require", setting, index)
                    yield from known.problem(file.document, where, name)
        both = _texts(require.get("issuers")) & _open_issuers(file.top)
        if len(both) > 1:  # whose keys would a token be tried with?
            yield file.document.problem(
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


def _known_issuers(file: _File) -> _Known:
    known = frozenset(one.value for one in _issuer_names(file))
    signers = {one.value for one in file.named("signers", "name")}
    remedy = "the signer of this name is none: give it accept: true"
    return _Known("issuer", known, dict.fromkeys(signers - known, remedy))


def _known_consumers(file: _File) -> _Known:
    found = {one.value for one in _consumers(file, "name")}
    return _Known("consumer", frozenset(found | {ANY_CONSUMER}), {})


def _section(parent: dict[str, Any], name: str) -> dict[str, Any]:
    section = parent.get(name)
    return section if isinstance(section, dict) else {}


def _unknown_subjects(file: _File) -> Iterator[Problem]:
    """A directory that is named and not there, and one that is there and never asked."""
    there = frozenset(one.value for one in file.named("subjects", "name"))
    known = _Known("subject directory", there, {})
    asked = list(file.named("issuers", "subjects"))
    for one in asked:
        yield from known.problem(file.document, one.place, one.value)
    for one in file.named("subjects", "name"):
        if all(one.value != other.value for other in asked):
            yield file.document.problem(
                one.place,
                f"nobody asks {quoted(one.value)}; name it in an issuer's subjects, or remove it",
            )


def _texts(values: object) -> set[str]:
    return {one for one in values if isinstance(one, str)} if isinstance(values, list) else set()
