from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from sidecar.config.addresses import Address
from sidecar.config.load import show
from sidecar.config.redis import FORMS, Layout, RedisUrl, parse
from sidecar.config.surroundings import Surroundings
from tests.identities import Ca
from tests.unit.config.folder import SECRET, Folder, configuration


@pytest.mark.parametrize(
    ("url", "path"),
    [
        pytest.param("memory:", "", id="memory"),
        pytest.param("sqlite:state.db", "{}/state.db", id="a file beside the configuration"),
        pytest.param("sqlite:../state.db", "{.parent}/state.db", id="a file above it"),
        pytest.param("sqlite:/var/lib/state.db", "/var/lib/state.db", id="an absolute path"),
    ],
)
def test_where_the_store_is(folder: Folder, url: str, path: str) -> None:
    store = folder.load(configuration(store={"url": url})).settings.store
    assert store is not None
    assert store.url.path == path.format(folder.path)


def test_without_the_section_there_is_none(folder: Folder) -> None:
    assert folder.load(configuration()).settings.store is None


def test_what_is_changed_elsewhere_is_seen_soon_and_an_outage_serves(folder: Folder) -> None:
    store = folder.load(configuration(store={"url": "memory:"})).settings.store
    assert store is not None
    assert (store.max_staleness, store.on_outage) == (2.0, "serve")


REDIS_URLS = (
    ("redis://redis", "redis://redis:6379"),
    ("redis://redis:6380/0", "redis://redis:6380"),
    ("rediss://[::1]:6380/15", "rediss://[::1]:6380/15"),
    ("redis://[::1]", "redis://[::1]:6379"),
    ("redis+sentinel://one,two:26380/my.master", "redis+sentinel://one:26379,two:26380/my.master"),
    ("rediss+sentinel://one/main/2", "rediss+sentinel://one:26379/main/2"),
    ("redis+cluster://one,two:7001", "redis+cluster://one:6379,two:7001"),
)


@pytest.mark.parametrize(("written", "shown"), REDIS_URLS)
def test_where_a_redis_is(folder: Folder, written: str, shown: str) -> None:
    store = folder.load(configuration(store={"url": written})).settings.store
    assert store is not None
    assert store.url.redis is not None
    assert str(store.url) == shown


def test_the_parts_of_a_redis(folder: Folder) -> None:
    url = "rediss+sentinel://one,two:26380/main/2"
    store = folder.load(configuration(store={"url": url})).settings.store
    assert store is not None
    nodes = (Address(host="one", port=26379), Address(host="two", port=26380))
    assert store.url.redis == RedisUrl(Layout.SENTINEL, True, nodes, "main", 2)


NOT_ONE_NODE = (
    ".url: must have host names or IP addresses, IPv6 ones in brackets, each with a port of 1 to "
    "65535 or none"
)
NO_DATABASE = ".url: must end with the number of a database, 0 to 65535, or none"
NO_MASTER = (
    ".url: must name the master that the Sentinels watch, as in "
    "redis+sentinel://sentinel-1:26379,sentinel-2:26379/mymaster"
)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        pytest.param("redis:", f".url: must be {FORMS}; it has another form", id="no host"),
        pytest.param("redis:///0", f".url: must be {FORMS}; it has another form", id="no host, /"),
        pytest.param(
            "redis+unix://a", f".url: must be {FORMS}; it has another form", id="no such layout"
        ),
        pytest.param(
            "redis://a?password=marker",
            f".url: must be {FORMS}; it has another form",
            id="a query, and no word of it",
        ),
        pytest.param(
            "redis://a,b",
            ".url: must name one server; write redis+sentinel:// for servers that Sentinels "
            "watch, redis+cluster:// for a cluster",
            id="two servers",
        ),
        pytest.param("redis://a:0", NOT_ONE_NODE, id="port 0"),
        pytest.param("redis://a:65536", NOT_ONE_NODE, id="port 65536"),
        pytest.param("redis://::1", NOT_ONE_NODE, id="IPv6 without brackets"),
        pytest.param("redis+cluster://a,,b", NOT_ONE_NODE, id="a comma too many"),
        pytest.param("redis://a/65536", NO_DATABASE, id="database 65536"),
        pytest.param("redis://a/x", NO_DATABASE, id="a database with a name"),
        pytest.param("redis+sentinel://a/m/0/0", NO_DATABASE, id="more behind the database"),
        pytest.param("redis+sentinel://a", NO_MASTER, id="Sentinels of nothing"),
        pytest.param("redis+sentinel://a/my master", NO_MASTER, id="a master with a space"),
        pytest.param(
            "redis+cluster://a/0",
            ".url: must end after the hosts: a cluster has one database and no master's name",
            id="a cluster with a database",
        ),
        *(
            pytest.param(
                f"redis://{user}marker@redis:6379/0",
                ".url: must hold no user name and no password; remove what stands before the @ "
                "and set username and password beside it",
                id=f"a password in the URL behind {user!r}",
            )
            for user in (":", "me:", "", "me:/")
        ),
    ],
)
def test_what_is_wrong_with_the_url_of_a_redis(folder: Folder, url: str, message: str) -> None:
    found = folder.problems(configuration(store={"url": url}))
    assert found == [f"jwt-sidecar.yaml:1: store{message}"]


def test_a_redis_asks_at_the_door(folder: Folder) -> None:
    ca = Ca()
    ours = ca.certify("sidecar")
    folder.write("ca.pem", ca.certificate)
    folder.write("own.pem", ours.certificate)
    folder.write("own.key", ours.private_key)
    store: dict[str, Any] = {
        "url": "rediss+sentinel://one/main",
        "username": "sidecar",
        "password": {"env": "SECRET"},
        "sentinel_password": {"value": "marker-of-sentinels"},
        "ca_file": "ca.pem",
        "certificate_file": "own.pem",
        "private_key_file": "own.key",
    }
    loaded = folder.load(configuration(store=store))
    assert loaded.settings.store is not None
    assert loaded.settings.store.password is not None
    assert loaded.settings.store.password.material == SECRET.encode()
    assert "marker" not in show(loaded)
    assert "marker" not in repr(loaded.settings.store)


ONLY_REDIS = "has a meaning only with the URL of a Redis; remove it"
ONLY_TLS = "has a meaning only with rediss://, which is Redis over TLS; remove it"


@pytest.mark.parametrize(
    ("store", "messages"),
    [
        pytest.param(
            {"url": "sqlite:a.db", "username": "me", "password": {"env": "SECRET"}},
            [f"password: {ONLY_REDIS}", f"username: {ONLY_REDIS}"],
            id="a user of a file",
        ),
        pytest.param(
            {"url": "redis://a", "username": "me"},
            ["username: needs password: no user is known by the name alone"],
            id="a user without a password",
        ),
        pytest.param(
            {"url": "redis://a", "password": "marker"},
            [
                "password: must say where the secret is, and not be the secret: write "
                "{env: NAME}, {file: PATH} or {value: TEXT}"
            ],
            id="a bare password",
        ),
        pytest.param(
            {"url": "redis://a", "sentinel_password": {"env": "SECRET"}},
            [
                "sentinel_password: has a meaning only with redis+sentinel:// or "
                "rediss+sentinel://; remove it"
            ],
            id="a password of Sentinels that are not there",
        ),
        pytest.param(
            {"url": "redis://a", "ca_file": "ca.pem"}, [f"ca_file: {ONLY_TLS}"], id="no TLS"
        ),
        pytest.param(
            {"url": "rediss://a", "certificate_file": "ca.pem"},
            ["certificate_file: needs private_key_file, the key that belongs to it"],
            id="a certificate alone",
        ),
        pytest.param(
            {"url": "rediss://a", "private_key_file": "own.key"},
            ["private_key_file: needs certificate_file, which it belongs to"],
            id="a private key alone",
        ),
        pytest.param(
            {"url": "rediss://a", "certificate_file": "ca.pem", "private_key_file": "own.key"},
            [
                "private_key_file: own.key is not the key of the first certificate in ca.pem; "
                "use the two that were issued together"
            ],
            id="another's private key",
        ),
    ],
)
def test_what_does_not_fit_a_redis(
    folder: Folder, store: dict[str, Any], messages: list[str]
) -> None:
    ca = Ca()
    folder.write("ca.pem", ca.certificate)
    folder.write("own.key", ca.certify("sidecar").private_key)
    found = folder.problems(configuration(store=store))
    assert found == [f"jwt-sidecar.yaml:1: store.{message}" for message in messages]


@given(st.text())
def test_no_text_of_a_url_breaks_its_parser(text: str) -> None:
    """It is read, shown and read again as the same, or refused."""
    surroundings = Surroundings("/", {})
    for scheme in ("redis://", "rediss+sentinel://", "redis+cluster://a,"):
        try:
            url = parse(scheme + text, surroundings)
        except PydanticCustomError:
            continue
        assert parse(str(url), surroundings) == url


@pytest.mark.parametrize(
    "url", ["memory:", "sqlite:state.db", *(written for written, _ in REDIS_URLS)]
)
def test_what_is_shown_loads_as_the_same(folder: Folder, url: str) -> None:
    shown = show(folder.load(configuration(store={"url": url})))
    assert show(folder.load(shown)) == shown


@pytest.mark.parametrize(
    ("store", "message"),
    [
        pytest.param({}, ".url: is missing", id="no url"),
        pytest.param(
            {"url": "state.db"},
            ".url: must be sqlite:PATH, such as sqlite:state.db, redis://HOST:PORT, or memory:",
            id="a bare path",
        ),
        pytest.param(
            {"url": "memory:x"},
            ".url: must be sqlite:PATH, such as sqlite:state.db, redis://HOST:PORT, or memory:",
            id="memory with a name",
        ),
        pytest.param(
            {"url": "sqlite:"},
            ".url: must name a file after sqlite:, such as sqlite:state.db",
            id="no path",
        ),
        pytest.param(
            {"url": "sqlite:data/"},
            ".url: must name a file after sqlite:, such as sqlite:state.db",
            id="a directory",
        ),
        pytest.param(
            {"url": "sqlite:///state.db"},
            ".url: must have no two slashes after sqlite:, which are read in different ways; "
            "write sqlite:state.db for a file beside this one, or "
            "sqlite:/var/lib/jwt-sidecar/state.db",
            id="slashes as of a URL",
        ),
        pytest.param(
            {"url": "postgresql://me:marker@db/x"},
            ".url: must be sqlite:PATH, such as sqlite:state.db, redis://HOST:PORT, or memory:",
            id="another database, and no word of its password",
        ),
        pytest.param(
            {"url": "memory:", "on_outage": "allow"},
            '.on_outage: must be serve or deny; it is the text "allow"',
            id="another way with an outage",
        ),
        pytest.param(
            {"url": "memory:", "max_staleness": "99ms"},
            ".max_staleness: must be at least 100ms and at most 1m; it is 99ms",
            id="staler than can be kept",
        ),
        pytest.param(
            {"url": "memory:", "max_staleness": "61s"},
            ".max_staleness: must be at least 100ms and at most 1m; it is 61s",
            id="staler than anyone wants",
        ),
    ],
)
def test_what_is_wrong_with_a_store(folder: Folder, store: dict[str, Any], message: str) -> None:
    assert folder.problems(configuration(store=store)) == [f"jwt-sidecar.yaml:1: store{message}"]
