"""Whether the lines of a ``.cfg`` can be read, and name what the file declares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from her2sr_acq.devices.mmcore.cfg import CfgFile, Line
from her2sr_acq.devices.mmcore.vocabulary import ROLES

CORE = "Core"
ARGUMENTS: dict[str, frozenset[int]] = {
    "Device": frozenset({3}),
    "pyDevice": frozenset({3}),
    "Property": frozenset({2, 3}),
    "Label": frozenset({3}),
    "ConfigGroup": frozenset({1, 4, 5}),
    "ConfigPixelSize": frozenset({4}),
    "PixelSize_um": frozenset({2}),
    "PixelSizeAffine": frozenset({7}),
    "Delay": frozenset({2}),
    "FocusDirection": frozenset({2}),
    "Parent": frozenset({2}),
}
"""How many words follow each command."""
NAMED: dict[str, tuple[int, ...]] = {
    "Property": (0,),
    "Label": (0,),
    "ConfigGroup": (2,),
    "ConfigPixelSize": (1,),
    "Delay": (0,),
    "FocusDirection": (0,),
    "Parent": (0, 1),
}
"""Which of the words are labels of devices."""


def faults(cfg: CfgFile) -> list[str]:
    """Return a sentence for every line that cannot be read or names nothing."""
    labels = [device.label for device in cfg.devices()]
    twice = [
        f"{cfg.path.name}: the label '{label}' is declared {count} times; give every "
        f"device its own"
        for label, count in Counter(labels).items()
        if count > 1
    ]
    lines = [
        f"{cfg.path.name} line {line.number}: {fault}"
        for line in cfg.lines
        for fault in _faults(line, {*labels, CORE})
    ]
    return twice + lines


def _faults(line: Line, known: set[str]) -> Iterator[str]:
    words = line.arguments
    if line.command not in ARGUMENTS:
        yield f"no command is called '{line.command}'; correct or remove the line"
        return
    if len(words) not in ARGUMENTS[line.command]:
        wanted = " or ".join(str(n) for n in sorted(ARGUMENTS[line.command]))
        yield (
            f"'{line.command}' is followed by {len(words)} words and takes {wanted}; "
            f"correct it"
        )
        return
    named = [words[n] for n in NAMED.get(line.command, ()) if n < len(words)]
    if line.command == "Property" and words[0] == CORE and words[1] in ROLES:
        named += [word for word in words[2:3] if word]
    for label in named:
        if label not in known:
            yield (
                f"'{line.command}' names device '{label}', which is not declared; "
                f"correct it"
            )
    yield from _number_faults(line)


def _number_faults(line: Line) -> Iterator[str]:
    direction = line.arguments[1] if line.command == "FocusDirection" else "1"
    if direction not in ("1", "-1"):
        yield (
            f"FocusDirection is '{direction}'; write 1 when larger z is towards the "
            f"sample, else -1"
        )
    if line.command == "Delay" and not _is_number(line.arguments[1]):
        yield f"Delay is '{line.arguments[1]}'; write milliseconds"


def _is_number(text: str) -> bool:
    try:
        return float(text) >= 0.0
    except ValueError:
        return False
