"""Write ``requirements.lock``: the exact version of everything her2sr depends on.

Takes what is installed and was tested, follows the declared requirements from the
distribution itself, and leaves out whatever else stands in the environment. Networks
are trained with an extra of its own, ``train``, whose builds differ by machine.
"""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

INSTALLER = "pip"
"""What reads the lock: naming it there would pin the tool by its own work."""
EXTRAS = ("cluster", "bench", "dev", "release")
LOCK = Path(__file__).parents[1] / "requirements.lock"
HEADER = "# Tested together on Python 3.11; written by `make lock`.\n"


def requirements(name: str, extras: tuple[str, ...]) -> list[Requirement]:
    """Return what a distribution asks for on this machine with these extras."""
    wanted = [Requirement(text) for text in distribution(name).requires or ()]
    return [
        requirement
        for requirement in wanted
        if requirement.marker is None
        or any(requirement.marker.evaluate({"extra": e}) for e in ("", *extras))
    ]


def closure() -> dict[str, str]:
    """Return name -> version of everything below the distribution."""
    pins: dict[str, str] = {}
    seen: set[tuple[str, tuple[str, ...]]] = set()
    waiting: list[tuple[str, tuple[str, ...]]] = [("her2sr", EXTRAS)]
    while waiting:
        name, extras = waiting.pop()
        for requirement in requirements(name, extras):
            child = canonicalize_name(requirement.name)
            step = (child, tuple(sorted(requirement.extras)))
            if step not in seen and child != INSTALLER:
                seen.add(step)
                pins[child] = distribution(child).version
                waiting.append(step)
    return pins


def main() -> None:
    """Write the file."""
    lines = [f"{name}=={version}\n" for name, version in sorted(closure().items())]
    LOCK.write_text(HEADER + "".join(lines))


if __name__ == "__main__":
    main()
