"""Install the wheel alone in a fresh environment, and drive a run through it.

What pipx does: a new virtual environment, the wheel, its locked dependencies, and
nothing of the checkout. Needs the package index and takes minutes; `make release`
calls it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import venv
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
DEMO = ("demo", "--fields", "1x1", "--size", "128", "--frames", "100")


def clean_environment() -> dict[str, str]:
    """Return this environment without what would lead back into the checkout."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}


def check(wheel: Path, folder: Path) -> None:
    """Install ``wheel`` under ``folder`` and run the command there.

    Raises
    ------
    subprocess.CalledProcessError
        Where a step ends with a code other than 0.
    """
    binaries = folder / "venv" / "bin"
    venv.create(folder / "venv", with_pip=True)
    pip = [binaries / "pip", "install", "--quiet", "--disable-pip-version-check"]
    her2sr = binaries / "her2sr"
    steps: list[list[str | Path]] = [
        [*pip, "-c", ROOT / "requirements.lock", wheel],
        [her2sr, "--version"],
        [her2sr, "--help"],
        [her2sr, *DEMO, "--out", folder / "demo"],
    ]
    for step in steps:
        print("==", *(str(word) for word in step), flush=True)  # noqa: T201
        subprocess.run(step, check=True, cwd=folder, env=clean_environment())


def main() -> int:
    """Return 0 where every step ended well, 1 where one failed, 2 without a wheel."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    wheel = parser.parse_args().wheel.resolve()
    if not wheel.is_file():
        sys.stderr.write(f"there is no wheel {wheel.name}; make release builds it\n")
        return 2
    with TemporaryDirectory(prefix="her2sr-release-") as folder:
        try:
            check(wheel, Path(folder))
        except subprocess.CalledProcessError as error:
            sys.stderr.write(f"the wheel failed its check: {error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
