"""`jwt-sidecar consumers`: those of a running sidecar, in its store and in its configuration."""

import argparse
import sys
from collections.abc import Iterator
from typing import Final

from sidecar.cli import DONE, CommandFailed
from sidecar.commands.client import TIMEOUT, admin_service
from sidecar.commands.printing import print_as_json, table
from sidecar.commands.tokens import json_object
from sidecar.v1 import admin_service_pb2 as messages

_MOST_READ: Final = 64 * 1024
_PAGE: Final = 1000


def create(options: argparse.Namespace) -> int:
    """Creates the consumer that the options describe."""
    consumer = _described(options, messages.Consumer(name=options.name))
    with admin_service(options) as service:
        request = messages.CreateConsumerRequest(consumer=consumer)
        print_as_json(service.CreateConsumer(request, timeout=TIMEOUT).consumer)
    return DONE


def get(options: argparse.Namespace) -> int:
    """Prints a consumer; its secret is never told."""
    with admin_service(options) as service:
        request = messages.GetConsumerRequest(name=options.name)
        print_as_json(service.GetConsumer(request, timeout=TIMEOUT).consumer)
    return DONE


def update(options: argparse.Namespace) -> int:
    """Changes what the options name of a consumer; the rest stays."""
    with admin_service(options) as service:
        found = service.GetConsumer(messages.GetConsumerRequest(name=options.name), timeout=TIMEOUT)
        found.consumer.ClearField("credential")  # without one it keeps its own
        request = messages.UpdateConsumerRequest(consumer=_described(options, found.consumer))
        print_as_json(service.UpdateConsumer(request, timeout=TIMEOUT).consumer)
    return DONE


def delete(options: argparse.Namespace) -> int:
    """Deletes a consumer; its tokens pass no more."""
    with admin_service(options) as service:
        service.DeleteConsumer(messages.DeleteConsumerRequest(name=options.name), timeout=TIMEOUT)
    print(f"deleted {options.name}")
    return DONE


def show(options: argparse.Namespace) -> int:
    """Prints all consumers by name, as a table or as JSON."""
    with admin_service(options) as service:
        request = messages.ListConsumersRequest(page_size=_PAGE)
        consumers: list[messages.Consumer] = []
        while True:
            page = service.ListConsumers(request, timeout=TIMEOUT)
            consumers += page.consumers
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
    if options.json:
        print_as_json(messages.ListConsumersResponse(consumers=consumers))
    else:
        print("\n".join(table(("CONSUMER", "KEY", "ALGORITHM", "STATE", "FROM"), _rows(consumers))))
    return DONE


def _rows(consumers: list[messages.Consumer]) -> Iterator[tuple[str, ...]]:
    for one in consumers:
        state = "disabled" if one.disabled else "enabled"
        place = "store" if one.HasField("create_time") else "configuration"
        yield one.name, one.key, one.algorithm, state, place


def _described(options: argparse.Namespace, consumer: messages.Consumer) -> messages.Consumer:
    """The consumer with what the options say; raises CommandFailed."""
    try:
        if options.key is not None:
            consumer.key = options.key
        if options.algorithm is not None:
            consumer.algorithm = options.algorithm
        for label in options.label or ():
            name, sign, value = label.partition("=")
            if not (name and sign):
                raise CommandFailed("--label: it must be NAME=VALUE")
            consumer.labels[name] = value
        _grant(options, consumer)
    except (UnicodeEncodeError, ValueError) as error:
        raise CommandFailed("an argument is not in UTF-8") from error
    if options.disabled is not None:
        consumer.disabled = options.disabled
    if options.secret_file and options.public_key_file:
        raise CommandFailed("--secret-file and --public-key-file are two; name one of them")
    if options.secret_file:
        consumer.secret = _read("--secret-file", options.secret_file)
    if options.public_key_file:
        try:
            pem = _read("--public-key-file", options.public_key_file).decode("ascii")
        except UnicodeDecodeError as error:
            raise CommandFailed("--public-key-file: it must hold a public key in PEM") from error
        consumer.public_key = pem
    return consumer


def _grant(options: argparse.Namespace, consumer: messages.Consumer) -> None:
    """What an option names takes the place of all that there was; an empty one leaves nothing."""
    if options.scope is not None:
        consumer.scopes[:] = _but_empty(options.scope)
    if options.claim is not None:
        consumer.claims_json = json_object("--claim", _but_empty(options.claim))
    if options.claim_from_token is not None:
        consumer.claims_from_token[:] = _but_empty(options.claim_from_token)


def _but_empty(values: list[str]) -> list[str]:
    return [] if values == [""] else values


def _read(option: str, path: str) -> bytes:
    """What a file holds, or standard input for `-`, without one line end after it."""
    try:
        if path == "-":
            data = sys.stdin.buffer.read(_MOST_READ + 1)
        else:
            with open(path, "rb") as file:
                data = file.read(_MOST_READ + 1)
    except OSError as error:
        raise CommandFailed(f"{option}: {path} can't be read: {error.strerror}") from error
    if len(data) > _MOST_READ:
        raise CommandFailed(f"{option}: {path} has more than {_MOST_READ} bytes")
    return data.removesuffix(b"\n").removesuffix(b"\r")
