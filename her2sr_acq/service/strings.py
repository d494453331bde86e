"""The words of the pages, in every language, out of one table.

Knows no request: which language is spoken is decided in `service.language`.
"""

from __future__ import annotations

import string
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from her2sr_acq.errors import ConfigError

LANGUAGES = ("en", "ja")
TABLES = tuple(
    Path(__file__).parent / "web" / name for name in ("strings.toml", "phrases.toml")
)
"""Words of the pages, and sentences of the engine: one table in two files."""


@dataclass(frozen=True, slots=True)
class Strings:
    """Texts by ``section.key`` and language."""

    texts: Mapping[str, Mapping[str, str]]

    def text(self, language: str, key: str, /, **values: object) -> str:
        """Return a text with its placeholders filled. Raises `KeyError` for no key."""
        return self.texts[key][language].format(**values)

    def section(self, language: str, name: str) -> dict[str, str]:
        """Return the texts of a section by key, placeholders as they are."""
        return {
            key.removeprefix(f"{name}."): entry[language]
            for key, entry in self.texts.items()
            if key.startswith(f"{name}.")
        }


@cache
def load(*paths: Path) -> Strings:
    """Return the table. Raises `ConfigError` when a language or placeholder lacks."""
    texts = {
        f"{section}.{key}": entry
        for path in paths or TABLES
        for section, entries in tomllib.loads(path.read_text(encoding="utf-8")).items()
        for key, entry in entries.items()
    }
    for key, entry in texts.items():
        _check(key, entry)
    return Strings(texts)


def placeholders(text: str) -> set[str]:
    """Return the names in braces of a text."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def _check(key: str, entry: object) -> None:
    if not isinstance(entry, dict) or set(entry) != set(LANGUAGES):
        raise ConfigError(f"string '{key}' needs exactly the languages {LANGUAGES}")
    if not all(isinstance(text, str) and text.strip() for text in entry.values()):
        raise ConfigError(f"string '{key}' is empty in a language")
    if len({frozenset(placeholders(text)) for text in entry.values()}) != 1:
        raise ConfigError(f"string '{key}' has other placeholders in each language")
