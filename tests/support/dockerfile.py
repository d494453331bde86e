"""A Dockerfile as stages of instructions; as much of its language as ours speaks."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path

KNOWN = frozenset(
    {"RUN", "COPY", "ENV", "WORKDIR", "USER", "VOLUME", "ENTRYPOINT", "CMD"}
)


@dataclass(frozen=True)
class Step:
    """One instruction with what stands behind it."""

    name: str
    rest: str

    def words(self) -> list[str]:
        """Return its words: a JSON list, or as a shell splits them."""
        if self.rest.startswith("["):
            return list(json.loads(self.rest))
        return shlex.split(self.rest)

    def settings(self) -> dict[str, str]:
        """Return what an ENV sets."""
        return dict(word.split("=", 1) for word in self.words())


@dataclass(frozen=True)
class Stage:
    """What stands between one FROM and the next."""

    base: str
    name: str
    steps: list[Step] = field(default_factory=list)

    def last(self, name: str) -> Step:
        """Return the last instruction of a kind. Raises `LookupError` without one."""
        found = [step for step in self.steps if step.name == name]
        if not found:
            raise LookupError(f"the stage has no {name}")
        return found[-1]


def read(path: Path) -> list[Stage]:
    """Return the stages. Raises `ValueError` for an instruction nobody knows here."""
    stages: list[Stage] = []
    for line in _lines(path.read_text()):
        name, _, rest = line.partition(" ")
        rest = rest.strip()
        if name == "FROM":
            base, _, alias = rest.partition(" AS ")
            stages.append(Stage(base, alias or str(len(stages))))
        elif name in KNOWN and stages:
            stages[-1].steps.append(Step(name, rest))
        else:
            raise ValueError(f"{path.name}: '{line}' is not understood")
    return stages


def _lines(text: str) -> list[str]:
    """Return the instructions, continued lines joined, comments left out."""
    kept = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(kept).replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.strip()]
