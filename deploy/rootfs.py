"""Carries out deploy/Dockerfile without a container engine, and lives in what comes of it.

`make rootfs` runs it; NAME=VALUE sets a build argument. It needs Linux, root, debootstrap and
util-linux, and takes some minutes. The image's base comes from debootstrap, without what Debian's
slim images leave out; everything else are the steps of the Dockerfile, as they stand there. The
sidecar then serves as the image's user on a read-only root, with nothing but a configuration and an
empty directory at /run/jwt-sidecar, without a network and without a capability.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, NamedTuple

DOCKERFILE: Final = Path(__file__).with_name("Dockerfile")
CONTEXT: Final = DOCKERFILE.parents[1]
NOT_IN_SLIM: Final = ("doc", "groff", "info", "lintian", "linda", "locale", "man")
"""Below /usr/share; but for each package's copyright."""

CONFIGURATION: Final = """
listeners:
  - address: unix:/run/jwt-sidecar/sidecar.sock
    services: [validate, issue]
  - address: unix:/run/jwt-sidecar/envoy.sock
    services: [ext_authz]
signers:
  - {name: internal, issuer: "https://tokens.example", keys: [{generate: ES256}], accept: true}
shutdown: {drain: 0s, grace: 5s}
"""
IMPORT_COMPILED: Final = """
import importlib, pathlib, sysconfig
packages = pathlib.Path(sysconfig.get_path("purelib"))
for path in packages.rglob("*.so"):
    importlib.import_module(".".join(path.relative_to(packages).parts).partition(".cpython-")[0]
        .removesuffix(".so").removesuffix(".abi3"))
"""


class Instruction(NamedTuple):
    """A line of a Dockerfile."""

    word: str
    rest: str


@dataclass(frozen=True)
class Stage:
    """What stands below a FROM."""

    base: str
    name: str
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True)
class Image:
    """A root file system, and how to start something in it."""

    root: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "0:0"
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    health: tuple[str, ...] = ()


def instructions(text: str) -> Iterator[Instruction]:
    """Those of a Dockerfile, continued lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield Instruction(word.upper(), rest.strip())


def stages(text: str, given: Mapping[str, str]) -> list[Stage]:
    """The stages, with the build arguments in their FROM filled in."""
    found: list[Stage] = []
    arguments: dict[str, str] = {}
    for one in instructions(text):
        if one.word == "FROM":
            base, _, name = filled(one.rest, arguments).partition(" AS ")
            found.append(Stage(base.strip(), name.strip(), ()))
        elif found:
            last = found[-1]
            found[-1] = replace(last, instructions=(*last.instructions, one))
        else:
            arguments |= argument(one, given)
    return found


def argument(one: Instruction, given: Mapping[str, str]) -> dict[str, str]:
    assert one.word == "ARG", f"{one.word} before FROM"
    name, _, default = one.rest.partition("=")
    return {name: given.get(name, default)}


def filled(text: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], text)


def build(text: str, given: Mapping[str, str], work: Path) -> Image:
    """The image of the last stage, below the directory `work`."""
    built: dict[str, Image] = {}
    image = None
    for number, stage in enumerate(stages(text, given)):
        root = work / str(number)
        if stage.base in built:
            image = replace(built[stage.base], root=root)
            run("cp", "--archive", str(built[stage.base].root), str(root))
        else:
            debian(stage.base, root)
            image = Image(root)
        arguments: dict[str, str] = {}
        for one in stage.instructions:
            print(f"{stage.name or 'image'}: {one.word} {one.rest[:100]}", flush=True)
            if one.word == "ARG":
                arguments |= argument(one, given)
            else:
                image = carried_out(one, image, arguments, built)
        built[stage.name] = image
    assert image, "no FROM"
    return image


def debian(base: str, root: Path) -> None:
    """What `debian:SUITE-slim` is: the packages of minbase without documentation and locales."""
    suite = re.fullmatch(r"debian:(\w+)-slim(@sha256:\w+)?", base)
    assert suite, f"{base} can't be had without a registry"
    run("debootstrap", "--variant=minbase", suite[1], str(root))
    excluded = [f"path-exclude /usr/share/{name}/*" for name in NOT_IN_SLIM]
    rules = [*excluded, "path-include /usr/share/doc/*/copyright"]
    (root / "etc/dpkg/dpkg.cfg.d/docker").write_text("\n".join(rules) + "\n")
    for name in NOT_IN_SLIM:
        for path in sorted((root / "usr/share" / name).rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                if not any(path.iterdir()):
                    path.rmdir()
            elif name != "doc" or path.name != "copyright":
                path.unlink()
    (root / "etc/resolv.conf").write_text("")
    for directory in ("var/cache/apt", "var/lib/apt/lists"):
        shutil.rmtree(root / directory)


def carried_out(
    one: Instruction, image: Image, arguments: Mapping[str, str], built: Mapping[str, Image]
) -> Image:
    """The image after an instruction."""
    known = {**image.environment, **arguments}
    match one.word:
        case "RUN":
            run_in(image, one.rest, known)
        case "COPY":
            copy(image, shlex.split(filled(one.rest, known)), built)
        case "ENV":
            pairs = dict(word.split("=", 1) for word in shlex.split(one.rest))
            return replace(image, environment={**image.environment, **pairs})
        case "WORKDIR":
            (image.root / one.rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
            return replace(image, workdir=one.rest)
        case "USER":
            return replace(image, user=one.rest)
        case "ENTRYPOINT":
            return replace(image, entrypoint=tuple(json.loads(one.rest)))
        case "CMD":
            return replace(image, command=tuple(json.loads(one.rest)))
        case "HEALTHCHECK":
            return replace(image, health=tuple(json.loads(one.rest.partition(" CMD ")[2])))
        case "LABEL":
            pass
        case unknown:
            raise AssertionError(f"{unknown} is not carried out here")
    return image


def copy(image: Image, words: Sequence[str], built: Mapping[str, Image]) -> None:
    options = [word for word in words if word.startswith("--")]
    *sources, target = words[len(options) :]
    into = image.root / str(Path(image.workdir, target)).lstrip("/")
    if options:
        (origin,) = options
        root = built[origin.removeprefix("--from=")].root
        (source,) = sources
        run("cp", "--archive", "--no-target-directory", str(root / source.lstrip("/")), str(into))
        return
    into.mkdir(parents=True, exist_ok=True)
    for path in (CONTEXT / name for name in sources):
        if path.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(path, into, ignore=ignored, dirs_exist_ok=True)
        else:
            assert target.endswith("/"), "files are copied into a directory"
            shutil.copy(path, into)


# A proxy on the way may have a certificate that only this machine knows: pip is told of it.
IN_BUILD: Final = """
set -e
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
mount --bind /etc/resolv.conf "$1/etc/resolv.conf"
mount -t tmpfs tmpfs "$1/mnt"
cp /etc/ssl/certs/ca-certificates.crt "$1/mnt/"
root=$1; shift
exec chroot "$root" "$@"
"""


def run_in(image: Image, script: str, environment: Mapping[str, str]) -> None:
    assert image.user == "0:0", "RUN after USER"
    passed = {"PIP_CERT": "/mnt/ca-certificates.crt", "DEBIAN_FRONTEND": "noninteractive"}
    if "PIP_INDEX_URL" in os.environ:
        passed["PIP_INDEX_URL"] = os.environ["PIP_INDEX_URL"]
    run(
        *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
        *("sh", "-c", IN_BUILD, "sh", str(image.root)),
        *clean({"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **passed, **environment}),
        *("sh", "-c", f"cd {shlex.quote(image.workdir)} && {script}"),
    )


def clean(environment: Mapping[str, str]) -> list[str]:
    return ["/usr/bin/env", "-i", *(f"{name}={value}" for name, value in environment.items())]


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


CONTAINER: Final = """
set -e
mount --bind "$1" "$1"
mount -o remount,bind,ro "$1"
mount -t proc proc "$1/proc"
mount -t tmpfs -o mode=755 tmpfs "$1/dev"
for device in null zero random urandom; do
  touch "$1/dev/$device"
  mount --bind "/dev/$device" "$1/dev/$device"
done
mount -t tmpfs -o "uid=${3%:*},gid=${3#*:},mode=0750" tmpfs "$1/run/jwt-sidecar"
mount --bind "$2" "$1/etc/jwt-sidecar"
mount -o remount,bind,ro "$1/etc/jwt-sidecar"
root=$1; shift 3
exec chroot "$root" "$@"
"""


@contextmanager
def container(image: Image, configuration: str) -> Iterator[subprocess.Popen[str]]:
    """What the image starts, as the first process of its own world."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        Path(directory, "jwt-sidecar.yaml").write_text(configuration)
        command = (
            *("unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child"),
            *("sh", "-c", CONTAINER, "sh", str(image.root), directory, image.user),
            *confined(image),
            *image.entrypoint,
            *image.command,
        )
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            try:
                yield child
            finally:
                for process in children(child):
                    os.kill(process, signal.SIGKILL)


def confined(image: Image) -> list[str]:
    user, _, group = image.user.partition(":")
    return [
        *clean(image.environment),
        *("setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups"),
        *("--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--"),
    ]


def children(parent: subprocess.Popen[str]) -> list[int]:
    """Not left to --kill-child, which a change of the user undoes."""
    if parent.poll() is not None:
        return []
    return [
        int(one)
        for one in Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    ]


def run_beside(image: Image, process: int, *command: str) -> str:
    """What a command in the container prints, as with `docker exec`."""
    entered = ("nsenter", f"--target={process}", "--all", "--root", "--wd")
    return run(*entered, *confined(image), *command)


def live(image: Image) -> None:
    """From the start to SIGTERM; says what it saw, and ends with an error where it is not right."""
    began = time.monotonic()
    with container(image, CONFIGURATION) as child:
        assert child.stdout
        ready = child.stdout.readline()
        assert " is ready on " in ready, "it did not start"
        print(f"{ready.strip()} after {time.monotonic() - began:.2f} s")
        (process,) = children(child)
        status = Path(f"/proc/{process}/status").read_text()
        user = image.user.partition(":")[0]
        assert re.search(rf"^Uid:\t{user}\t{user}\t{user}\t{user}$", status, re.M), status
        assert re.search(r"^NSpid:\t\d+\t1$", status, re.M), status
        assert not re.search(r"^Cap\w+:\t0*[1-9a-f]", status, re.M), status
        assert re.search(r"^NoNewPrivs:\t1$", status, re.M), status
        print(f"user {user}, no capability, {status_of(status, 'VmRSS')} resident")

        written = "touch /x /opt/jwt-sidecar/x /etc/jwt-sidecar/x 2>&1 | grep -c 'Read-only'"
        assert run_beside(image, process, "sh", "-c", written) == "3\n"
        print("the root is read-only")
        print("health:", run_beside(image, process, *image.health).strip())
        token = "jwt-sidecar issue --subject alice | jwt-sidecar validate"
        answer = run_beside(image, process, "sh", "-c", token)
        assert answer.startswith("valid\n"), answer
        print("a token: valid")
        run_beside(image, process, "/opt/jwt-sidecar/bin/python", "-c", IMPORT_COMPILED)
        print("every compiled module can be imported")
        assert not uncompiled(image.root / "opt")
        print("every module has its bytecode")

        began = time.monotonic()
        os.kill(process, signal.SIGTERM)
        assert child.wait(20) == 0, child.returncode
        print(f"SIGTERM: status 0 after {time.monotonic() - began:.2f} s")


def uncompiled(root: Path) -> list[Path]:
    return [
        one
        for one in root.rglob("*.py")
        if not any((one.parent / "__pycache__").glob(f"{one.stem}.*.pyc"))
    ]


def status_of(status: str, name: str) -> str:
    found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.M)
    assert found
    return f"{int(found[1]) / 1024:.0f} MiB"


def sizes(root: Path) -> None:
    """How much there is, and of what."""
    print(f"\n{mib(size(root))} MiB in all, {mib(compressed(root))} MiB as tar.gz, of it")
    packages = next((root / "opt/jwt-sidecar/lib").glob("python3*/site-packages"))
    python = next((root / "usr/lib").glob("python3.*"))
    rows = {"Python's library": size(python), "the sidecar and its packages": size(packages)}
    rows["Debian and Python's binary"] = size(root) - sum(rows.values())
    for name, amount in sorted(rows.items(), key=lambda row: -row[1]):
        print(f"{mib(amount):>8} {name}")
    print("of the packages")
    largest = sorted(((size(one), one.name) for one in packages.iterdir()), reverse=True)
    for amount, name in largest[:12]:
        print(f"{mib(amount):>8} {name}")


def size(path: Path) -> int:
    return int(run("du", "--apparent-size", "--block-size=1", "--summarize", str(path)).split()[0])


def compressed(root: Path) -> int:
    packed = f"tar --create --directory={shlex.quote(str(root))} . | gzip | wc --bytes"
    return int(run("sh", "-c", packed))


def mib(amount: int) -> str:
    return f"{amount / 2**20:.1f}"


def main() -> None:
    for tool in ("debootstrap", "unshare", "nsenter", "setpriv"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is needed: apt-get install debootstrap util-linux")
    if os.geteuid() != 0:
        raise SystemExit("root is needed, to mount and to change the user")
    given = dict(word.split("=", 1) for word in sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="jwt-sidecar-rootfs-") as work:
        image = build(DOCKERFILE.read_text(), given, Path(work))
        live(image)
        sizes(image.root)


if __name__ == "__main__":
    main()
