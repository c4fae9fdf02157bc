"""`jwt-sidecar config`: check, show and schema."""

import argparse
import json
import os
from pathlib import Path

from sidecar.cli import DONE, CommandFailed
from sidecar.config import load as config
from sidecar.config.problems import InvalidConfiguration


def check(options: argparse.Namespace) -> int:
    """Reports all errors of a configuration."""
    loaded(options.config)
    print(f"{options.config} is valid")
    return DONE


def show(options: argparse.Namespace) -> int:
    """Prints the effective settings."""
    print(config.show(loaded(options.config)), end="")
    return DONE


def schema(_: argparse.Namespace) -> int:
    """Prints the JSON Schema of the configuration."""
    from sidecar.config.schema import schema as described

    print(json.dumps(described(), indent=2))
    return DONE


def loaded(path: str) -> config.Configuration:
    """The configuration in a file; raises CommandFailed with all of its errors."""
    try:
        return config.load(Path(path), os.environ)
    except InvalidConfiguration as error:
        raise CommandFailed(f"the configuration can't be used:\n{error}") from error
