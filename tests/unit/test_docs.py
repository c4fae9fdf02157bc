"""The pages of docs/ say what this tree does: their examples are run, their lists compared.

A comment before each YAML block says what the block is:

    <!-- complete: env=NAME ES256-private=FILE -->   a whole configuration, which must load
    <!-- part: … -->          sections of one; the others come from BASE
    <!-- file: NAME … -->     a file that the blocks after it on the page may name
    <!-- broken -->           a configuration whose report is the next block
    <!-- envoy: Cluster -->   a message of Envoy's

The words after the colon name what the block needs: environment variables and files (NEEDS).
"""

import ast
import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, get_args

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.cluster.v3 import cluster_pb2
from envoy.extensions.access_loggers.stream.v3 import stream_pb2
from envoy.extensions.filters.http.ext_authz.v3 import ext_authz_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from google.protobuf.json_format import ParseDict
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from docs import attacks, reasons
from docs.__main__ import PAGES as GENERATED
from sidecar.cli import parser
from sidecar.config.client_addresses import Addresses
from sidecar.config.load import load, show
from sidecar.config.problems import InvalidConfiguration
from sidecar.config.schema import schema
from sidecar.config.secrets import PrivateKey, Secret
from sidecar.config.section import ANY
from sidecar.config.settings import Settings
from sidecar.keys.answer import Outcome
from sidecar.keys.generated import generate_private_key
from sidecar.token.reason import ErrorReason
from sidecar.token.signing import from_private_key, published
from sidecar.v1 import admin_service_pb2, token_service_pb2
from tests.identities import HERE, Ca
from tests.unit.token import test_attacks as on_keys
from tests.unit.token import test_attacks_on_form as on_form

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
PAGES: Final = sorted(DOCS.glob("*.md"))

BASE: Final = {
    "listeners": """
listeners:
  - address: unix:base.sock
    services: [validate, ext_authz, issue]
""",
    "signers": """
signers:
  - {name: base, issuer: "https://base.example", keys: [{generate: ES256}], accept: true}
""",
}
"""The sections that a `part` may leave out."""
TEXT: Final = "0123456789abcdef" * 8
"""A secret that is long enough for every algorithm and fits every encoding."""

BLOCK: Final = re.compile(
    r"(?:<!-- (?P<marker>[^>]*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S
)
ROW: Final = re.compile(r"^\| `(?P<name>[^`]+)` \| (?P<second>.+?) \|", re.M)
HEADING: Final = re.compile(r"^#+ (?P<title>.+)$", re.M)
ENVOY: Final = {
    "AccessLog": accesslog_pb2.AccessLog,
    "Cluster": cluster_pb2.Cluster,
    "HttpFilter": http_connection_manager_pb2.HttpFilter,
}
# Messages that the snippets hold as Any can be parsed only where their modules are loaded.
ENVOY_ANY: Final = (ext_authz_pb2, stream_pb2, http_protocol_options_pb2)


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    kind: str
    """What the comment before it says; empty where there is none."""
    words: tuple[str, ...]
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    found = []
    for match in BLOCK.finditer(text):
        kind, _, words = (match["marker"] or "").partition(":")
        line = text.count("\n", 0, match.start("text"))
        found.append(
            Block(page.name, line, kind, tuple(words.split()), match["language"], match["text"])
        )
    return found


BLOCKS: Final = [block for page in PAGES for block in blocks(page)]
YAML: Final = [block for block in BLOCKS if block.language == "yaml"]


def of_kind(*kinds: str) -> list[Block]:
    return [block for block in YAML if block.kind in kinds]


def private_pem(algorithm: str, encryption: KeySerializationEncryption) -> bytes:
    key = generate_private_key(algorithm)
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    return pem


def public_pem(algorithm: str) -> bytes:
    public_key = generate_private_key(algorithm).public_key()
    pem: bytes = public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


def jwks(algorithm: str) -> bytes:
    key = from_private_key(generate_private_key(algorithm), algorithm, "k1")
    return json.dumps({"keys": published([key])}).encode()


def certificate() -> bytes:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "docs")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(start).not_valid_after(start + timedelta(days=1))
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


NEEDS: Final[Mapping[str, Callable[[str], bytes]]] = {
    "secret": lambda _: TEXT.encode(),
    "private": lambda algorithm: private_pem(algorithm, NoEncryption()),
    "encrypted": lambda algorithm: private_pem(algorithm, BestAvailableEncryption(TEXT.encode())),
    "public": public_pem,
    "jwks": jwks,
    "certificate": lambda _: certificate(),
}
"""What a page may ask for, as `secret=FILE` or `ES256-private=FILE`.

Beside these are `env=NAME`, and `tls=FILE,FILE` for a certificate and its key.
"""


def pair(directory: Path, names: str) -> None:
    """A certificate and its private key, in the two files that are named."""
    certificate_name, _, key_name = names.partition(",")
    Ca().certify(*HERE).write(directory / certificate_name, directory / key_name)


def environment_of(words: tuple[str, ...], directory: Path) -> Mapping[str, str]:
    """Makes the files that the words ask for; gives the environment."""
    environment = {}
    for word in words:
        what, _, name = word.partition("=")
        if what == "env":
            environment[name] = TEXT
        elif what == "tls":
            pair(directory, name)
        else:
            algorithm, _, kind = what.rpartition("-")
            (directory / name).write_bytes(NEEDS[kind](algorithm or "ES256"))
    return environment


def write(block: Block, directory: Path) -> tuple[Path, dict[str, str]]:
    """The configuration that a block makes, beside the files that its page shows before it."""
    environment = dict(environment_of(block.words, directory))
    for other in of_kind("file"):
        if other.page == block.page and other.line < block.line:
            name, *words = other.words
            (directory / name).write_text(other.text)
            environment.update(environment_of(tuple(words), directory))
    text = block.text
    if block.kind == "part":
        given = yaml.safe_load(text)
        text += "".join(base for section, base in BASE.items() if section not in given)
    path = directory / "jwt-sidecar.yaml"
    path.write_text(text)
    return path, environment


def test_every_yaml_block_says_what_it_is() -> None:
    known = of_kind("complete", "part", "file", "broken", "envoy")
    assert [str(one) for one in YAML if one not in known] == []


@pytest.mark.parametrize("block", of_kind("complete", "part"), ids=str)
def test_configuration_loads(block: Block, tmp_path: Path) -> None:
    path, environment = write(block, tmp_path)
    configuration = load(path, environment)
    assert show(configuration)


@pytest.mark.parametrize("block", of_kind("broken"), ids=str)
def test_report_is_the_one_on_the_page(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, environment = write(block, tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidConfiguration) as caught:
        load(path.name, environment)
    report = BLOCKS[BLOCKS.index(block) + 1].text
    assert report.split("\n", 2)[1:] == [
        "jwt-sidecar: the configuration can't be used:",
        f"{caught.value}\n",
    ]


@pytest.mark.parametrize("block", of_kind("envoy"), ids=str)
def test_envoy_knows_the_message(block: Block) -> None:
    (name,) = block.words
    (value,) = yaml.safe_load(block.text)
    assert ParseDict(value, ENVOY[name]())
    assert ENVOY_ANY


def commands() -> Iterator[tuple[str, str]]:
    """Every command line of ours on the pages, those of a pipe one by one."""
    for block in BLOCKS:
        if block.language == "console":
            for line in re.findall(r"^\$ (.*)$", block.text.replace("\\\n", ""), re.M):
                for command in line.split("|"):
                    if command.strip().startswith("jwt-sidecar"):
                        yield str(block), command.strip()


@pytest.mark.parametrize(("where", "command"), list(commands()))
def test_command_line_is_understood(where: str, command: str) -> None:
    _, *arguments = shlex.split(re.split(r" [<>] ?", command)[0], comments=True)
    assert parser().parse_args(arguments).run, where


@dataclass(frozen=True)
class Setting:
    path: str
    field: FieldInfo


def settings(model: type[BaseModel], above: str = "") -> Iterator[Setting]:
    """Every setting below a model. What stands in several places has a section of its own."""
    for name, field in model.model_fields.items():
        yield Setting(f"{above}{name}", field)
        inner, many = section_in(field.annotation)
        if inner is PrivateKey:
            yield Setting(f"{above}{name}.password", PrivateKey.model_fields["password"])
        elif inner and inner not in {Secret, Addresses}:
            yield from settings(inner, f"{above}{name}{'[]' if many else ''}.")


def section_in(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The model in an annotation, and whether there are many of it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    for inner in get_args(annotation):
        model, many = section_in(inner)
        if model:
            return model, many or getattr(annotation, "__origin__", None) is tuple
    return None, False


ALL_SETTINGS: Final = {
    one.path: one.field
    for one in (
        *settings(Settings),
        *settings(Secret, "SECRET."),
        *settings(Addresses, "ADDRESSES."),
    )
}


def documented(page: str) -> dict[str, str]:
    """Path to default, of every row below a heading that has a path or says `Top level`."""
    found = {}
    text = (DOCS / page).read_text()
    headings = list(HEADING.finditer(text))
    ends = [one.start() for one in headings[1:]] + [len(text)]
    for heading, end in zip(headings, ends, strict=True):
        path = re.search(r"`([^`]+)`", heading["title"])
        if path or heading["title"] == "Top level":
            section = text[heading.end() : end]
            prefix = f"{path[1]}." if path else ""
            found.update({prefix + row["name"]: row["second"] for row in ROW.finditer(section)})
    return found


def test_every_setting_is_documented_and_no_other() -> None:
    assert set(documented("configuration.md")) == set(ALL_SETTINGS)


def test_list_of_settings_is_that_of_the_schema() -> None:
    names = {name for one in schema()["$defs"].values() for name in one.get("properties", {})}
    names |= set(schema()["properties"])
    assert names == {re.split(r"[.]", path)[-1] for path in ALL_SETTINGS}


@pytest.mark.parametrize(("path", "cell"), list(documented("configuration.md").items()))
def test_default_is_the_documented_one(path: str, cell: str) -> None:
    field = ALL_SETTINGS[path]
    default = field.get_default(call_default_factory=True, validated_data={})
    if field.is_required():
        assert cell == "required"
    elif default is None or isinstance(default, BaseModel):
        assert cell != "required"
    elif isinstance(default, tuple) and any(isinstance(one, BaseModel) for one in default):
        (source,) = default
        assert cell == f"`[{written(source.model_dump(exclude_defaults=True))}]`"
    else:
        assert cell == f"`{written(default)}`"


def written(value: Any) -> str:
    """A default as the page writes it, which is YAML on one line."""
    if value == ANY:
        return '"*"'
    if isinstance(value, tuple):
        return f"[{', '.join(value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {json.dumps(one)}' for name, one in value.items())}}}"
    if value in {"", "0660"}:
        return f'"{value}"'
    return json.dumps(value) if isinstance(value, bool | int) else str(value)


@pytest.mark.parametrize("name", GENERATED)
def test_a_generated_page_is_what_the_code_gives(name: str) -> None:
    assert (DOCS / name).read_text() == GENERATED[name](), "run make docs"


def test_every_reason_has_its_prose_and_its_heading() -> None:
    assert set(reasons.texts()) == {one.name for one in reasons.reasons()}
    page = reasons.page()
    for one in reasons.reasons():
        assert f"\n### {one.name} ({one.value})\n" in page
    for error in set(ErrorReason) - {ErrorReason.UNSPECIFIED}:
        assert f"\n| {error.name} | {error.value} |" in page


def test_every_table_of_attacks_is_on_the_page_and_no_attack_twice() -> None:
    rows = [row.values[0] for table in attacks.SECTIONS.values() for row in table]
    tests = [row.values[0] for module in (on_keys, on_form) for row in module.ATTACKS]
    assert rows == tests
    assert len({one.name for one in rows}) == len(rows) >= 80


PRACTICE: Final = re.compile(
    r"^\| (?P<section>3\.\d+) \| [^|]+ "
    r"\| (?P<modules>[^|]+) \| (?P<settings>[^|]+) \| (?P<tests>[^|]+) \|$",
    re.M,
)


def test_every_practice_of_rfc_8725_is_enforced_and_shown() -> None:
    rows = list(PRACTICE.finditer((DOCS / "security.md").read_text()))
    assert [row["section"] for row in rows] == [f"3.{number}" for number in range(1, 13)]
    for row in rows:
        assert re.search(r"`sidecar/[\w/]+\.py:\w+`", row["modules"]), row["section"]
        assert re.search(r"`tests/[\w/]+\.py:\w+`", row["tests"]), row["section"]
        assert set(re.findall(r"`([^`]+)`", row["settings"])) <= set(ALL_SETTINGS), row["section"]


def test_every_method_is_brought_by_a_service_of_a_listener() -> None:
    rows = re.findall(
        r"^\| \w+ \| `([\w.]+)`: (.+) \|$", (DOCS / "configuration.md").read_text(), re.M
    )
    named = {f"{service}/{method}" for service, methods in rows for method in methods.split(", ")}
    served = [
        service
        for page in (token_service_pb2, admin_service_pb2)
        for service in page.DESCRIPTOR.services_by_name.values()
    ]
    assert named - {"envoy.service.auth.v3.Authorization/Check"} == {
        f"{service.full_name}/{method.name}" for service in served for method in service.methods
    }


def test_every_outcome_of_a_fetch_that_failed_is_explained() -> None:
    text = (DOCS / "metrics.md").read_text()
    table = text.partition("## Why keys are not fetched")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.M) == [
        one.value for one in Outcome if one not in {Outcome.FETCHED, Outcome.NOT_MODIFIED}
    ]


def test_every_error_reason_of_issuing_is_explained() -> None:
    text = (DOCS / "issuing.md").read_text()
    source = "".join(
        (ROOT / "sidecar" / path).read_text()
        for path in (
            "token/mint.py",
            "api/fields.py",
            "api/token_service.py",
            "state/refresh_tokens.py",
        )
    )
    used = set(re.findall(r"ErrorReason\.([A-Z_]+)", source)) & set(ErrorReason.__members__)
    assert used == set(re.findall(r"^\| `([A-Z_]+)` \|", text, re.M))


def allowed_imports() -> dict[str, set[str]]:
    text = (DOCS / "architecture.md").read_text()
    rows = re.findall(r"^\| `sidecar/([\w/.]+)` \|.*\| ([^|]+) \|$", text, re.M)
    return {
        path.rstrip("/").removesuffix(".py"): set(re.findall(r"`(\w+)`", imports))
        for path, imports in rows
    }


def imported(path: Path) -> Iterator[str]:
    """The packages and modules right below `sidecar` that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{one.name}" for one in node.names]
        yield from (one.split(".")[1] for one in names if one.startswith("sidecar."))


def test_imports_are_the_documented_ones() -> None:
    allowed = allowed_imports()
    for path in (ROOT / "sidecar").rglob("*.py"):
        package = path.relative_to(ROOT / "sidecar").parts[0].removesuffix(".py")
        if package in {"v1", "__init__", "__main__"}:
            continue
        assert set(imported(path)) <= allowed[package] | {package, "v1", "__version__"}, path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_and_names_of_the_tree_are_there(page: Path) -> None:
    for path, name in re.findall(
        r"`((?:sidecar|proto|deploy|tests)/[\w/.-]+)(?::(\w+))?`", page.read_text()
    ):
        assert (ROOT / path).exists(), path
        if name:
            defined = rf"(?:def|class|message|rpc) {name}\b|^\s*{name}\b.*="
            assert re.search(defined, (ROOT / path).read_text(), re.M), f"{path}:{name}"


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    titles = [one["title"].lower() for one in HEADING.finditer(BLOCK.sub("", page.read_text()))]
    return {re.sub(r"[^\w -]", "", title).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target
