"""The command `jwt-sidecar`: its arguments, and what runs them.

Results go to standard output, everything else to standard error. Each subcommand's module is
loaded only when it runs.
"""

import argparse
import gc
import importlib
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Final, NoReturn, TypeAlias

from sidecar import __version__

DONE: Final = 0
REFUSED: Final = 1
WRONG_USAGE: Final = 2
UNREACHABLE: Final = 3

DEFAULT_CONFIG: Final = "jwt-sidecar.yaml"
DEFAULT_ADDRESS: Final = "127.0.0.1:9191"


Commands: TypeAlias = "argparse._SubParsersAction[_Parser]"


class CommandFailed(Exception):
    """A command can't be carried out: what to tell the person, and the exit status."""

    def __init__(self, message: str, status: int = WRONG_USAGE) -> None:
        super().__init__(message)
        self.status = status


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit status.

    0 done or valid, 1 refused, 2 wrong usage or configuration, 3 the sidecar can't be reached.
    """
    # Nearly all that a start makes lives on: looking for garbage in it takes a tenth of the time.
    gc.disable()
    options = parser().parse_args(arguments)
    module, function = options.run
    if module == "serve":
        _until_it_serves()
    try:
        run: Callable[[argparse.Namespace], int] = getattr(
            importlib.import_module(f"sidecar.commands.{module}"), function
        )
        return run(options)
    except CommandFailed as failure:
        print(f"jwt-sidecar: {failure}", file=sys.stderr)
        return failure.status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        return 130


def _until_it_serves() -> None:
    """What signals do before there is anything to stop.

    For the first process of a container the kernel drops them otherwise, and the end of its pod
    would have to wait.
    """
    signal.signal(signal.SIGTERM, lambda *_: os._exit(DONE))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


_QUOTING: Final = (
    (re.compile(r"invalid choice: .* \(choose from", re.DOTALL), "invalid choice (choose from"),
    (re.compile(r"ignored explicit argument .*", re.DOTALL), "it takes no value"),
    (re.compile(r"^(ambiguous option: [^=]*)=.* could match", re.DOTALL), r"\1 could match"),
)
"""What argparse says with the word that came, and what is said instead."""


class _Parser(argparse.ArgumentParser):
    """Names unknown options, but no other word that is wrong: it may be a token."""

    def error(self, message: str) -> NoReturn:
        """Ends the process with status 2."""
        for quoting, words in _QUOTING:
            message = quoting.sub(words, message)
        what, _, words = message.partition(": ")
        if what == "unrecognized arguments":
            options = re.findall(r"(?:^|\s)(-[a-z]|--[a-z-]+)(?:=|\s|$)", words)
            message = (
                f"unknown option {options[0]}"
                if options
                else (
                    "more words came than are taken; a token is one word, without Bearer, and "
                    "serve takes its file by --config"
                )
            )
        super().error(message)


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    top = _Parser(
        prog="jwt-sidecar", description="Validates and issues JSON Web Tokens beside a workload."
    )
    top.add_argument("--version", action="version", version=f"jwt-sidecar {__version__}")
    commands: Commands = top.add_subparsers(metavar="COMMAND", required=True)
    _add_serve(commands)
    _add_config(commands)
    _add_validate(commands)
    _add_explain(commands)
    _add_issue(commands)
    _add_refresh(commands)
    _add_revoke(commands)
    _add_consumers(commands)
    _add_decode(commands)
    _add_keys(commands)
    _add_status(commands)
    _add_health(commands)
    return top


def _add_serve(commands: Commands) -> None:
    serve = commands.add_parser("serve", help="run until SIGTERM")
    _add_config_option(serve)
    serve.set_defaults(run=("serve", "serve"))


def _add_config_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--config",
        metavar="FILE",
        default=os.environ.get("JWT_SIDECAR_CONFIG") or DEFAULT_CONFIG,
        help=f"the configuration (default: $JWT_SIDECAR_CONFIG or {DEFAULT_CONFIG})",
    )


def _add_config(commands: Commands) -> None:
    config = commands.add_parser("config", help="check and show the configuration")
    actions = config.add_subparsers(metavar="ACTION", required=True)
    for name, summary in (
        ("check", "report all errors, with line and path"),
        ("show", "print the effective settings, secrets masked"),
    ):
        action = actions.add_parser(name, help=summary)
        action.add_argument(
            "config",
            metavar="FILE",
            nargs="?",
            default=os.environ.get("JWT_SIDECAR_CONFIG") or DEFAULT_CONFIG,
        )
        action.set_defaults(run=("config", name))
    schema = actions.add_parser("schema", help="print the JSON Schema, for editors")
    schema.set_defaults(run=("config", "schema"))


def _add_address(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--address",
        default=os.environ.get("JWT_SIDECAR_ADDRESS") or DEFAULT_ADDRESS,
        help=f"host:port or unix:PATH (default: $JWT_SIDECAR_ADDRESS or {DEFAULT_ADDRESS})",
    )
    for name, what in (
        ("tls-ca", "use TLS, and trust this CA"),
        ("tls-certificate", "certificate to show, with --tls-key"),
        ("tls-key", "private key of --tls-certificate"),
        ("caller-token-file", "token to show, where the listener asks for one"),
    ):
        variable = f"JWT_SIDECAR_{name.replace('-', '_').upper()}"
        command.add_argument(
            f"--{name}",
            metavar="FILE",
            default=os.environ.get(variable) or "",
            help=f"{what} (default: ${variable})",
        )


def _add_token(command: argparse.ArgumentParser) -> None:
    command.add_argument("token", metavar="TOKEN", nargs="?", help="absent or -: standard input")


def _add_validate(commands: Commands) -> None:
    validate = commands.add_parser("validate", help="ask a running sidecar about a token")
    _add_question(validate)
    validate.set_defaults(run=("tokens", "validate"))


def _add_explain(commands: Commands) -> None:
    explain = commands.add_parser("explain", help="print every check that is made of a token")
    _add_question(explain)
    explain.set_defaults(run=("explain", "explain"))


def _add_question(command: argparse.ArgumentParser) -> None:
    _add_token(command)
    _add_address(command)
    command.add_argument("--issuer", metavar="NAME", default="", help="the issuer it must be from")
    command.add_argument("--audience", action="append", default=[], help="one must be in aud")
    command.add_argument("--scope", action="append", default=[], help="each must be granted")
    command.add_argument("--json", action="store_true", help="print the answer as JSON")


def _add_issue(commands: Commands) -> None:
    issue = commands.add_parser("issue", help="print a token that a running sidecar mints")
    _add_address(issue)
    issue.add_argument("--subject", default="", help="sub")
    issue.add_argument("--signer", metavar="NAME", default="", help="default: the only one")
    issue.add_argument("--consumer", metavar="NAME", default="", help="sign with a consumer's key")
    issue.add_argument("--audience", action="append", default=[], help="aud")
    issue.add_argument("--scope", action="append", default=[], help="into scope")
    issue.add_argument("--lifetime", metavar="DURATION", help="such as 15m")
    issue.add_argument(
        "--not-before", metavar="WHEN", help="nbf; 10m from now, or a time such as RFC 3339 has it"
    )
    issue.add_argument("--token-id", metavar="ID", default="", help="jti; default: random")
    issue.add_argument("--algorithm", default="", help="one of the signer's; default: its first")
    for name, what in (("claim", "claim"), ("header", "header parameter")):
        issue.add_argument(
            f"--{name}",
            metavar="NAME=VALUE",
            action="append",
            default=[],
            help=f"an additional {what}; VALUE is JSON where it is valid JSON, else text",
        )
    issue.add_argument(
        "--critical-header",
        metavar="NAME",
        action="append",
        default=[],
        help="into crit; each is the name of a --header",
    )
    issue.add_argument(
        "--refresh", action="store_true", help="print a refresh token too, in a second line"
    )
    issue.set_defaults(run=("tokens", "issue"))


def _add_revoke(commands: Commands) -> None:
    revoke = commands.add_parser(
        "revoke", help="revoke a token, or all of a subject's or consumer's tokens so far"
    )
    _add_token(revoke)
    _add_address(revoke)
    for name, metavar, what in (
        ("refresh-token", "TOKEN", "a refresh token and its family; -: standard input"),
        ("token-id", "JTI", "a token by its jti, with --issuer and --expires"),
        ("subject", "SUB", "all tokens of a subject, with --issuer"),
        ("consumer", "NAME", "all tokens of a consumer"),
        ("issuer", "ISS", "the iss of the token or subject"),
        ("expires", "WHEN", "the token's exp: seconds since the epoch, or a time as RFC 3339"),
        ("issued-before", "WHEN", "only tokens that were issued before; default: now"),
    ):
        revoke.add_argument(f"--{name}", metavar=metavar, help=what)
    revoke.add_argument("--note", metavar="TEXT", default="", help="why, for the sidecar's log")
    revoke.set_defaults(run=("revoke", "revoke"))


def _add_refresh(commands: Commands) -> None:
    refresh = commands.add_parser("refresh", help="trade a refresh token for two new tokens")
    _add_token(refresh)
    _add_address(refresh)
    refresh.add_argument(
        "--scope", action="append", default=[], help="of those first granted; default: all"
    )
    refresh.set_defaults(run=("tokens", "refresh"))


def _add_consumers(commands: Commands) -> None:
    consumers = commands.add_parser(
        "consumers", help="list, create, change and delete consumers of a running sidecar"
    )
    actions = consumers.add_subparsers(metavar="ACTION", required=True)
    for name, run, summary in (
        ("create", "create", "keep a new one in the store"),
        ("get", "get", "print one, without its secret"),
        ("list", "show", "print all, by name"),
        ("update", "update", "change what the options name of one in the store"),
        ("delete", "delete", "remove one from the store"),
    ):
        action = actions.add_parser(name, help=summary)
        _add_address(action)
        if name == "list":
            action.add_argument("--json", action="store_true", help="print the answer as JSON")
        else:
            action.add_argument("name", metavar="NAME")
        if name in {"create", "update"}:
            _add_consumer(action, is_new=name == "create")
        action.set_defaults(run=("consumers", run))


def _add_consumer(action: argparse.ArgumentParser, is_new: bool) -> None:
    action.add_argument("--key", required=is_new, help="the value of the key claim in its tokens")
    action.add_argument("--algorithm", required=is_new, help="of its tokens, such as HS256")
    action.add_argument(
        "--secret-file", metavar="FILE", help="its secret, for HS algorithms; -: standard input"
    )
    action.add_argument(
        "--public-key-file", metavar="FILE", help="its public key in PEM; -: standard input"
    )
    action.add_argument("--label", metavar="NAME=VALUE", action="append", help="passed on")
    for name, metavar, what in (
        ("scope", "SCOPE", "a scope of its tokens"),
        ("claim", "NAME=VALUE", "a claim of its tokens; VALUE is JSON if it is valid JSON"),
        ("claim-from-token", "PATH", "a claim that its tokens may state"),
    ):
        help_text = f"{what}; replaces all that there are, and '' leaves none"
        action.add_argument(f"--{name}", metavar=metavar, action="append", help=help_text)
    action.add_argument(
        "--disabled",
        action=argparse.BooleanOptionalAction,
        help="whether its tokens are refused",
    )


def _add_decode(commands: Commands) -> None:
    decode = commands.add_parser("decode", help="print header and claims, unverified and offline")
    _add_token(decode)
    decode.set_defaults(run=("tokens", "decode"))


def _add_status(commands: Commands) -> None:
    status = commands.add_parser("status", help="print how a running sidecar is")
    _add_address(status)
    status.add_argument("--json", action="store_true", help="print the answer as JSON")
    status.set_defaults(run=("status", "status"))


def _add_health(commands: Commands) -> None:
    health = commands.add_parser("health", help="ask a running sidecar whether it can decide")
    _add_address(health)
    health.set_defaults(run=("health", "health"))


def _add_keys(commands: Commands) -> None:
    keys = commands.add_parser("keys", help="make keys and JWK Sets")
    actions = keys.add_subparsers(metavar="ACTION", required=True)
    generate = actions.add_parser("generate", help="print a private key in PEM and its JWK Set")
    generate.add_argument("--algorithm", required=True, help="such as ES256")
    generate.add_argument("--key-id", metavar="ID", help="kid; default: the key's thumbprint")
    generate.set_defaults(run=("keys", "generate"))
    jwks = actions.add_parser("jwks", help="print the JWK Set of keys in PEM")
    jwks.add_argument(
        "pem", metavar="PEM", nargs="+", help="a public key, certificate or private key"
    )
    jwks.set_defaults(run=("keys", "jwks"))
