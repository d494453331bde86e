"""Install the wheel alone in a fresh environment, and drive a run through it.

What pipx does: a new virtual environment, the wheel, its locked dependencies, and
nothing of the checkout; then the kernels are compiled, as `make install` does. Needs
the package index and takes minutes; `make release` calls it. Every command has a
deadline, and what it started ends with it; the folder is removed in any case.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
DEMO = ("demo", "--fields", "1x1", "--size", "128", "--frames", "100")
INSTALL_S = 1200.0
"""Of a slow index; the dependencies are some hundred megabytes."""
WORD_S = 120.0
"""Of a command that only says something."""
WARM_S = 1800.0
"""Of compiling every kernel; on a busy machine that is most of the check."""
DEMO_S = 600.0
ENDING_S = 20.0
"""To put the light out and stop its processes, once a command is asked to end."""

Step = tuple[Sequence[str | Path], float]
"""A command and its deadline in seconds."""


def clean_environment(folder: Path) -> dict[str, str]:
    """Return this environment without what would lead back into the checkout.

    Caches and temporary files of the commands go into ``folder``, which is removed.
    """
    kept = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("PYTHON", "NUMBA", "HER2SR"))
    }
    for name in ("tmp", "cache"):
        (folder / name).mkdir(exist_ok=True)
    return kept | {
        "TMPDIR": str(folder / "tmp"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }


def run(step: Sequence[str | Path], deadline_s: float, folder: Path) -> None:
    """Run one command in ``folder``; end it, and all it started, at its deadline.

    Raises
    ------
    subprocess.CalledProcessError
        Where it ends with a code other than 0.
    subprocess.TimeoutExpired
        Where it does not end in time.
    """
    words = [str(word) for word in step]
    print("==", *words, flush=True)  # noqa: T201
    began = time.monotonic()
    # a session of its own: its children are in it, and are found when it is late
    child = subprocess.Popen(
        words, cwd=folder, env=clean_environment(folder), start_new_session=True
    )
    try:
        code = child.wait(deadline_s)
    finally:
        end_all(child)
    print(f"   {time.monotonic() - began:.0f} s", flush=True)  # noqa: T201
    if code:
        raise subprocess.CalledProcessError(code, words)


def end_all(child: subprocess.Popen[bytes]) -> None:
    """Ask what is left of a command's session to end; then end it."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(ENDING_S)
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def parts_list(python: Path, target: Path) -> Sequence[str | Path]:
    """Return the command that lists what stands in an environment, as CycloneDX."""
    tool = [
        sys.executable,
        "-m",
        "cyclonedx_py",
        "environment",
        "--output-reproducible",
    ]
    project = ["--pyproject", ROOT / "pyproject.toml"]
    return [*tool, *project, "--output-file", target, python]


def check(wheel: Path, folder: Path, parts: Path | None) -> None:
    """Install ``wheel`` under ``folder`` and run the command there. Raises as `run`.

    ``parts``: where the list of what was installed goes; None: it is not written.
    """
    binaries = folder / "venv" / "bin"
    venv.create(folder / "venv", with_pip=True)
    pip = [binaries / "pip", "install", "--quiet", "--disable-pip-version-check"]
    her2sr, python = binaries / "her2sr", binaries / "python"
    steps: list[Step] = [
        ([*pip, "-c", ROOT / "requirements.lock", wheel], INSTALL_S),
        ([her2sr, "--version"], WORD_S),
        ([her2sr, "--help"], WORD_S),
        ([python, "-m", "her2sr_proc.live", "--warm"], WARM_S),
        ([python, "-m", "simulators.warm"], WARM_S),
        ([her2sr, *DEMO, "--out", folder / "demo"], DEMO_S),
    ]
    if parts is not None:
        steps.insert(1, (parts_list(python, parts), WORD_S))
    for step, deadline_s in steps:
        run(step, deadline_s, folder)
    require_answer(folder / "demo")


def require_answer(demo: Path) -> None:
    """Raise `FileNotFoundError` unless the demo left a result and a report."""
    for name in ("result.json", "report.html"):
        if not list(demo.rglob(name)):
            raise FileNotFoundError(f"the demo left no {name}")


def main() -> int:
    """Return 0 where every step ended well, 1 where one failed, 2 without a wheel."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument(
        "--parts",
        type=Path,
        metavar="FILE",
        help="write the list of parts of what was installed (needs the extra release)",
    )
    asked = parser.parse_args()
    wheel, parts = asked.wheel.resolve(), asked.parts and asked.parts.resolve()
    if not wheel.is_file():
        sys.stderr.write(f"there is no wheel {wheel.name}; make release builds it\n")
        return 2
    # a stop from outside goes the way of an error, so that everything is cleared
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with TemporaryDirectory(prefix="her2sr-release-") as folder:
        try:
            check(wheel, Path(folder), parts)
        except (subprocess.SubprocessError, OSError) as error:
            sys.stderr.write(f"the wheel failed its check: {error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
