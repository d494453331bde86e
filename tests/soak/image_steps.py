"""The image's own install and start steps in a fresh Debian root, and a run through it.

For machines without a container engine. Every instruction of `docker/Dockerfile` is
carried out in roots made by debootstrap: RUN by chroot as its user and in its folder,
COPY from the checkout or an earlier stage. Then the last stage starts as the image
would: its ENTRYPOINT and CMD as its user, on a root that cannot be written, with a
loopback of its own and the volumes and tmpfs of `docker/compose.yaml`. A demo run is
asked for by the image's own command and verified, and the service is stopped by TERM.

Needs root, debootstrap, and what pip and apt of this machine are told (an index, local
wheels), which the roots are told, too. Ends with 1 when a step fails. 7 to 15 minutes.

    python tests/soak/image_steps.py [--work FOLDER]
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from dockerfile import Stage, Step, read

HOME = Path(__file__).parents[2]
FILE = HOME / "docker" / "Dockerfile"
MIRROR = "http://deb.debian.org/debian"
DEADLINE_S = 1800.0
READY_S = 600.0
RUN_S = 1200.0
END_S = 120.0
"""For what never comes: on a quiet machine a step of the build takes three minutes, the
service ten seconds, the run one minute, its end three seconds."""
LOG = "service.log"
ALONE = "HER2SR_IMAGE_STEPS_ALONE"
PROXIES = ("http_proxy", "https_proxy", "no_proxy")
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
TRUST = "/etc/ssl/of-this-machine.crt"
"""Whom this machine trusts; packages of the root write the usual file anew."""
SOURCES = ("index-url", "extra-index-url", "find-links", "trusted-host")
OWNED = (("data", 0o700), ("run/her2sr", 0o700), ("tmp", 0o1777))
"""What compose mounts over the root: two volumes and a tmpfs."""


class StepError(Exception):
    """A step did not do what the image needs."""


def main() -> int:
    """Carry the steps out; return 1 when one fails."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--work", type=Path, help="where the roots are made")
    parser.add_argument(
        "--keep-log", type=Path, help="where the service's own log goes at the end"
    )
    asked = parser.parse_args()
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        print("this needs root and debootstrap; install it, or use a container engine")
        return 2
    if ALONE not in os.environ:
        # mounts of a namespace of our own are gone with its last process
        command = ["unshare", "--mount", "--propagation", "private", sys.executable]
        os.execvpe(command[0], [*command, *sys.argv], {**os.environ, ALONE: "1"})
    for kind in (signal.SIGTERM, signal.SIGINT):  # what is asked to end clears up, too
        signal.signal(kind, lambda *_: sys.exit(1))
    began = time.monotonic()
    work = Path(tempfile.mkdtemp(prefix="her2sr-image-", dir=asked.work))
    try:
        root = built(work)
        drive(root, read(FILE)[-1])
    except (StepError, subprocess.TimeoutExpired) as exc:
        print(f"XXX {exc}")
        return 1
    finally:
        if asked.keep_log and (log := work / LOG).exists():
            shutil.copy(log, asked.keep_log)
        unmount_all(work)
        if mounts_below(work):  # what is mounted is not ours to remove
            print(f"XXX {work} is left: something is still mounted below it")
        else:
            shutil.rmtree(work, ignore_errors=True)
    minutes = (time.monotonic() - began) / 60.0
    print(
        f"every step of the image works, and a run went through it: {minutes:.1f} min"
    )
    return 0


def built(work: Path) -> Path:
    """Carry out every stage; return the root of the last."""
    roots: dict[str, Path] = {}
    bare = work / "bare"
    stages = read(FILE)
    for stage in stages:
        suite = stage.base.removeprefix("debian:").removesuffix("-slim")
        if not bare.exists():
            told(f"debootstrap {suite}")
            command = ["debootstrap", "--variant=minbase", suite, str(bare), MIRROR]
            run(command)
        root = work / stage.name
        run(["cp", "-a", str(bare), str(root)])
        furnish(root)
        Builder(root, roots).carry_out(stage)
        roots[stage.name] = root
    return roots[stages[-1].name]


class Builder:
    """One stage in the making: its environment, folder and user so far."""

    def __init__(self, root: Path, others: Mapping[str, Path]) -> None:
        self._root, self._others = root, others
        self.environment = {
            "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            **{name: os.environ[name] for name in PROXIES if name in os.environ},
            "SSL_CERT_FILE": TRUST,
            "REQUESTS_CA_BUNDLE": TRUST,
        }
        self.folder, self.user = "/", "0:0"

    def carry_out(self, stage: Stage) -> None:
        """Carry out the steps in order. Raises `StepError`."""
        for step in stage.steps:
            told(f"{stage.name}: {step.name} {' '.join(step.rest.split())[:90]}")
            match step.name:
                case "RUN":
                    shell = ["/bin/sh", "-c", step.rest]
                    run(self.inside(shell), environment=self.environment)
                case "COPY":
                    self._copy(step)
                case "ENV":
                    for name, value in step.settings().items():
                        path = self.environment["PATH"]
                        self.environment[name] = value.replace("$PATH", path)
                case "WORKDIR":
                    self.folder = step.rest
                    (self._root / step.rest.lstrip("/")).mkdir(
                        parents=True, exist_ok=True
                    )
                case "USER":
                    self.user = step.rest

    def inside(self, command: Sequence[str]) -> list[str]:
        """Return a command as it is called from outside."""
        return as_user(self._root, self.user, self.folder, command)

    def _copy(self, step: Step) -> None:
        words = step.words()
        source = HOME
        if words[0].startswith("--from="):
            source = self._others[words.pop(0).removeprefix("--from=")]
        *names, target = words
        place = self._root / self.folder.lstrip("/") / target
        if target.startswith("/"):
            place = self._root / target.lstrip("/")
        for name in names:
            there = source / name.lstrip("/")
            if there.is_dir():
                shutil.copytree(there, place, symlinks=True, dirs_exist_ok=True)
            else:
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy2(there, place)


def as_user(root: Path, user: str, folder: str, command: Sequence[str]) -> list[str]:
    """Return a command in a root, as a user, in a folder."""
    uid, gid = user.split(":")
    enter = 'cd "$0" && exec "$@"'
    change = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
    return ["chroot", str(root), *change, "/bin/sh", "-c", enter, folder, *command]


def furnish(root: Path) -> None:
    """Give a root devices, names, and what this machine tells apt and pip."""
    for kind, name in (("proc", "proc"), ("sysfs", "sys")):
        run(["mount", "-t", kind, kind, str(root / name)])
    run(["mount", "--bind", "/dev", str(root / "dev")])
    shutil.copy2("/etc/resolv.conf", root / "etc/resolv.conf")
    if BUNDLE.exists():
        trust = root / TRUST.lstrip("/")
        trust.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(BUNDLE, trust)
    told_to_pip = pip_settings() | {"cert": TRUST}
    lines = [f"{name} = {value}" for name, value in told_to_pip.items()]
    (root / "etc/pip.conf").write_text("\n".join(["[global]", *lines, ""]))
    words = " ".join(told_to_pip.values()).split()
    folders = {Path(word.removeprefix("file://")) for word in words}
    # an index lies beside the files it lists
    folders = {path.parent if path.name == "simple" else path for path in folders}
    for folder in sorted(folders):
        if folder.is_dir():
            place = root / str(folder).lstrip("/")
            place.mkdir(parents=True, exist_ok=True)
            run(["mount", "--bind", "-o", "ro", str(folder), str(place)])


def pip_settings() -> dict[str, str]:
    """Return where this machine's pip looks for packages, and whom it trusts."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = run(command, within_s=60.0)
    pairs = (line.split("=", 1) for line in listed.splitlines() if "=" in line)
    found = {
        name.rpartition(".")[2]: " ".join(value.strip("'").replace("\\n", " ").split())
        for name, value in pairs
    }
    return {name: value for name, value in found.items() if name in SOURCES}


def drive(root: Path, stage: Stage) -> None:
    """Start the image, take a demo run, verify it, stop. Raises `StepError`."""
    builder = Builder(root, {})
    for step in stage.steps:  # what it runs with; nothing is carried out again
        if step.name == "ENV":
            builder.carry_out(Stage("", stage.name, [step]))
    user, folder = stage.last("USER").rest, stage.last("WORKDIR").rest
    environment = builder.environment
    seal(root, user)
    start = [*stage.last("ENTRYPOINT").words(), *stage.last("CMD").words()]
    # a network of its own, with a loopback and nothing else
    loopback = 'ip link set lo up && exec "$@"'
    outside = ["unshare", "--net", "/bin/sh", "-c", loopback, "-"]
    told(f"start: {' '.join(start)}")
    log = (root.parent / LOG).open("wb")
    with (
        log,
        subprocess.Popen(
            [*outside, *as_user(root, user, folder, start)],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as service,
    ):
        try:
            within = ["nsenter", "--target", str(service.pid), "--net"]

            def ask(*command: str, within_s: float) -> str:
                inside = as_user(root, user, folder, command)
                return run([*within, *inside], environment, within_s=within_s)

            await_ready(ask, service)
            data = ("--config", "simulated", "--data", "/data")
            told("her2sr run demo")
            ask("her2sr", "run", "demo", *data, within_s=RUN_S)
            (name,) = ask("ls", "/data/runs", within_s=END_S).split()
            told(f"her2sr verify {name}")
            print(ask("her2sr", "verify", f"/data/runs/{name}", within_s=RUN_S))
            told("TERM")
            asked_s = time.monotonic()
            service.send_signal(signal.SIGTERM)
            ended = service.wait(END_S)
            told(f"ended with {ended} after {time.monotonic() - asked_s:.1f} s")
            if ended != 0:
                raise StepError(f"the service ended with {ended} after TERM")
        finally:
            with suppress(ProcessLookupError):
                os.killpg(service.pid, signal.SIGKILL)
            print((root.parent / LOG).read_text()[-2000:])


def seal(root: Path, user: str) -> None:
    """Make the root read-only under the volumes that compose mounts."""
    uid, gid = user.split(":")
    cache = root / "var/cache/her2sr"  # a volume, filled from the image
    kept = root.parent / "cache"
    run(["cp", "-a", str(cache), str(kept)])
    run(["mount", "--bind", str(root), str(root)])
    run(["mount", "-o", "remount,bind,ro", str(root)])
    run(["mount", "--bind", str(kept), str(cache)])
    run(["mount", "-t", "proc", "proc", str(root / "proc")])
    run(["mount", "--bind", "/dev", str(root / "dev")])
    for name, mode in OWNED:
        owner = f"uid={uid},gid={gid},mode={mode:o}"
        run(["mount", "-t", "tmpfs", "-o", owner, "tmpfs", str(root / name)])


def await_ready(ask, service: subprocess.Popen[bytes]) -> None:
    """Return once a run could start. Raises `StepError`."""
    check = "import httpx; httpx.get('http://127.0.0.1:8000/readyz').raise_for_status()"
    until = time.monotonic() + READY_S
    while True:
        if service.poll() is not None:
            raise StepError(f"the service ended at once with {service.returncode}")
        try:
            ask("python", "-c", check, within_s=20.0)
        except StepError:
            if time.monotonic() > until:
                raise
            time.sleep(1.0)
        else:
            return


def unmount_all(work: Path) -> None:
    """Let go of everything mounted below a folder, the innermost first."""
    for place in reversed(mounts_below(work)):
        subprocess.run(["umount", "--lazy", place], check=False)


def mounts_below(work: Path) -> list[str]:
    """Return the places below a folder on which something is mounted."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    places = [line.split()[1] for line in lines]
    return [place for place in places if place.startswith(f"{work}/")]


def run(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    *,
    within_s: float = DEADLINE_S,
) -> str:
    """Run a command to its end and return its output. Raises `StepError`."""
    done = subprocess.run(
        command,
        env=None if environment is None else dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=within_s,
    )
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-20:])
        raise StepError(
            f"{' '.join(command)[:200]} ended with {done.returncode}\n{tail}"
        )
    return done.stdout


def told(words: str) -> None:
    """Print what is done now, at its time."""
    print(f"{time.strftime('%H:%M:%S')}  {words}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
