"""The last good key set of an issuer as a record of the store."""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from sidecar.keys.answer import Validators
from sidecar.keys.saved import Saved
from sidecar.state.members import number, text
from sidecar.state.store import ABSENT, Store

KIND: Final = "key_set"
FORMAT: Final = 1
"""Of a record. A change that an older sidecar would read wrongly adds 1."""


class StoredSet:
    """Where the set of one issuer is kept."""

    def __init__(self, store: Store, issuer_name: str) -> None:
        self._store = store
        self._issuer_name = issuer_name

    async def load(self) -> Saved | None:
        """What was saved last, None where nothing was, or by a newer sidecar in another form.

        Raises StoreFailed, and ValueError where the record is damaged.
        """
        record = await self._store.get(KIND, self._issuer_name)
        return None if record is None else _parse(record.data)

    async def save(self, saved: Saved) -> None:
        """Keeps this in place of what was there; raises StoreFailed.

        Where another sidecar is faster, its set is as new as this one, and stays.
        """
        record = await self._store.get(KIND, self._issuer_name)
        version = ABSENT if record is None else record.version
        await self._store.put(KIND, self._issuer_name, _dump(saved), version)


def _dump(saved: Saved) -> bytes:
    if saved.validators and "?" in saved.validators.url:
        saved = replace(saved, validators=None)  # the query may be secret; so it is fetched whole
    members = {**asdict(saved), "body": b64encode(saved.body).decode(), "format": FORMAT}
    return json.dumps(members).encode()


def _parse(data: bytes) -> Saved | None:
    try:
        members = json.loads(data)
        if members["format"] != FORMAT:
            return None
        return Saved(
            text(members["source"]),
            b64decode(text(members["body"]), validate=True),
            number(members["fetched_at"]),
            _validators(members["validators"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError("the record of the saved keys is damaged") from error


def _validators(members: Mapping[str, Any] | None) -> Validators | None:
    if members is None:
        return None
    return Validators(text(members["url"]), text(members["etag"]), text(members["last_modified"]))
