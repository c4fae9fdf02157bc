"""From the file to settings that can be relied on, or to everything that is wrong with it."""

import gc
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import ValidationError

from sidecar.config import document, scalar
from sidecar.config.consistency import inconsistencies
from sidecar.config.problems import InvalidConfiguration, Problem, in_order
from sidecar.config.settings import Settings
from sidecar.config.stamps import Stamp
from sidecar.config.surroundings import Surroundings, Unreadable
from sidecar.config.wording import problems_of
from sidecar.token.jwk import thumbprint


@dataclass(frozen=True, slots=True)
class Configuration:
    """Settings that were found valid, and the files that they came from."""

    settings: Settings
    path: str
    """Of the file, as it was named."""
    files: Mapping[str, Stamp | None]
    """The file and every file that it names, by absolute path, as they were when they were read."""
    digest: bytes = field(repr=False)
    """The same for configurations of the same content, secrets included. Not to be shown."""


def load(path: str | os.PathLike[str], environment: Mapping[str, str]) -> Configuration:
    """The configuration in a file, with the secrets that it refers to.

    Raises InvalidConfiguration with everything that is wrong with it and with the files that
    it names; text that is no YAML hides the rest of its file.
    """
    name = os.fspath(path)
    surroundings = Surroundings(os.path.dirname(name), environment)
    with _no_collection():
        settings, problems = _load(name, surroundings)
    if settings is None or problems:
        raise InvalidConfiguration(in_order(problems, name), surroundings.files)
    found = repr(sorted(surroundings.found.items())).encode()
    return Configuration(settings, name, surroundings.files, hashlib.sha256(found).digest())


def show(configuration: Configuration) -> str:
    """The effective settings as YAML, defaults filled in and every secret masked.

    `load` reads it back with the same result, but for secrets that stood in the file.
    """
    members = configuration.settings.model_dump(mode="json", exclude_none=True)
    return yaml.dump(members, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def public_hash(configuration: Configuration) -> str:
    """A hash of the effective settings without secrets, to compare sidecars by."""
    settings = configuration.settings
    consumers = settings.consumers.all if settings.consumers else ()
    subjects = (one.file.digest for one in settings.subjects if one.file)
    keys = (key for one in settings.issuers if one.keys.file for key in one.keys.file.keys.keys)
    shown = [
        [one.model_dump(mode="json") for one in (settings, *consumers)],
        [thumbprint(key) for key in keys],
        list(subjects),
    ]
    return hashlib.sha256(json.dumps(shown).encode()).hexdigest()


def _load(name: str, surroundings: Surroundings) -> tuple[Settings | None, list[Problem]]:
    try:
        data = surroundings.read(os.path.abspath(name), document.MOST_BYTES)
        read = document.parse(data, name)
    except Unreadable as error:
        return None, [Problem(name, None, (), str(error))]
    except InvalidConfiguration as invalid:
        return None, list(invalid.problems)
    problems = list(read.problems)
    settings = None
    try:
        settings = Settings.model_validate(read.tree, context=surroundings)
    except ValidationError as error:
        problems += problems_of(error, read, Settings)
    problems += surroundings.problems
    problems += inconsistencies(read, surroundings)
    return settings, problems


@contextmanager
def _no_collection() -> Iterator[None]:
    """No search for garbage in the meantime.

    Ten thousand consumers are a million objects that live on: looking through them again and
    again takes four times as long as making them.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _Dumper(yaml.SafeDumper):
    """Quotes what `scalar` would take for a number, and repeats instead of using aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_implicit_resolver("!number", scalar.NUMBER, list("-+.0123456789"))
