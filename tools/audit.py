"""Look every locked version up among the known vulnerabilities, and say so plainly.

pip-audit asks PyPI. It ends well where it could look up nothing, and calls a service
that does not answer a package that does not exist; here neither counts as looked up.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parents[1] / "requirements.lock"
COMMAND = (
    sys.executable,
    "-m",
    "pip_audit",
    "--disable-pip",
    "--no-deps",
    "--progress-spinner=off",
    "--format=json",
    f"--requirement={LOCK}",
)
CLEAN, VULNERABLE, UNKNOWN = 0, 1, 2
DEADLINE_S = 1800.0


def judge(packages: list[dict[str, Any]]) -> tuple[int, list[str]]:
    """Return the exit code and the lines to say, of what pip-audit found.

    0: all were looked up and none is known to be vulnerable; 1: some are; 2: none is
    known to be, and some could not be looked up.
    """
    lines = [line for package in packages for line in _vulnerabilities(package)]
    unknown = [str(package["name"]) for package in packages if "skip_reason" in package]
    if unknown:
        lines.append(
            f"{len(unknown)} of {len(packages)} locked versions could not be looked up "
            f"(the first is {unknown[0]}): nothing is said of them; run this where "
            f"https://pypi.org/pypi answers"
        )
    else:
        lines.append(f"{len(packages)} locked versions were looked up")
    if any("skip_reason" not in p and p.get("vulns") for p in packages):
        return VULNERABLE, lines
    return (UNKNOWN if unknown else CLEAN), lines


def _vulnerabilities(package: dict[str, Any]) -> Iterator[str]:
    for found in package.get("vulns", ()):
        fixed = ", ".join(found.get("fix_versions", ())) or "no version yet"
        named = f"{package['name']} {package['version']}: {found['id']}"
        yield f"{named}, mended by {fixed}"


def main() -> int:
    """Return what `judge` does; 2 also where pip-audit itself failed."""
    try:
        done = subprocess.run(
            COMMAND, capture_output=True, text=True, timeout=DEADLINE_S
        )
        packages = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        sys.stderr.write(f"no advisory came within {DEADLINE_S:g} s; try again later\n")
        return UNKNOWN
    except (ValueError, KeyError):
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        sys.stderr.write(
            f"the advisories could not be asked ({last[:200]}); run this where "
            f"https://pypi.org/pypi answers\n"
        )
        return UNKNOWN
    code, lines = judge(packages)
    (sys.stdout if code == CLEAN else sys.stderr).write("\n".join(lines) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
