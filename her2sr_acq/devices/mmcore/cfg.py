"""A Micro-Manager ``.cfg`` as lines of tokens. Touches no hardware."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from her2sr_acq.errors import ConfigError

PYTHON_PREFIX = "#py "
"""Before a line that only a core with Python devices reads."""
_DEVICE_LINES = {"Device", "pyDevice"}


@dataclass(frozen=True, slots=True)
class Line:
    """One command and its arguments, and where it stands."""

    number: int
    command: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeviceLine:
    """A device that the file declares."""

    label: str
    library: str
    name: str
    is_python: bool


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of one preset."""

    number: int
    group: str
    preset: str
    device: str
    property: str
    value: str


class CfgFile:
    """What a ``.cfg`` says, in its order."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises `ConfigError` when it cannot be read."""
        self.path = path
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigError(
                f"{path.name} cannot be read ({exc}); 'mmcore.cfg' names a file beside "
                f"the yaml",
                path=str(path),
            ) from exc
        self.lines = tuple(_lines(text))

    def devices(self) -> tuple[DeviceLine, ...]:
        """Return the devices that the file declares."""
        return tuple(
            DeviceLine(*line.arguments, is_python=line.command == "pyDevice")
            for line in self.lines
            if line.command in _DEVICE_LINES and len(line.arguments) == 3
        )

    def settings(self) -> tuple[Setting, ...]:
        """Return every setting of every preset."""
        return tuple(
            Setting(line.number, *line.arguments[:5])
            for line in self.lines
            if line.command == "ConfigGroup" and len(line.arguments) >= 5
        )


def _lines(text: str) -> Iterator[Line]:
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip().removeprefix(PYTHON_PREFIX).strip()
        if line and not line.startswith("#"):
            command, *arguments = line.split(",")
            yield Line(number, command, tuple(arguments))
