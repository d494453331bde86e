"""Sentences of the engine in the language of whoever looks.

The engine, the guard and the steps say what is the matter in English, and so it stands
in ledgers and records. A sentence is found here by its shape, as its template in the
table has it, and said again in another language with the same values. What is not in
the table, such as what a person wrote, stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import TypeVar

from her2sr_acq.engine.device_views import Found
from her2sr_acq.engine.views import Check
from her2sr_acq.service.strings import LANGUAGES, load

Line = TypeVar("Line", Check, Found)
ENGLISH = LANGUAGES[0]
SENTENCES = ("phrase.", "start.refuse_")
"""Where sentences stand that are said elsewhere than on a page."""
DEEPEST = 4
"""A sentence may hold another one, such as its cause."""
LONGEST = 2000
"""Characters of a text that is looked up; longer ones are no sentences."""
WORDS: dict[str, tuple[str, ...]] = {
    "state": ("state.", "review.state_"),
    "role": ("role.",),
    "role2": ("role.",),
    "verb": ("verb.",),
    "event": ("review.next_",),
    "kind": ("criterion.",),
    "name": ("criterion.",),
    "what": ("criterion.",),
    "ratio": ("criterion.",),
}
"""Values that are words of the table themselves, and where they stand in it."""
NUMBERS = ("low", "high", "written", "requested")
NUMBER = r"-?[\d.]+(?:e[+-]?\d+)?"
"""What else could be words between 'from' and 'to', or a part of the reason before."""
_HOLE = re.compile(r"\{(\w+)\}")
_PLACE = re.compile(r"^(r\d{2,3}_c\d{2,3}(?:/[\w-]+)?(?:, r\d{2,3}_c\d{2,3})*): (.+)$")


@cache
def _shapes() -> list[tuple[str, re.Pattern[str]]]:
    """Return the shape of every sentence, those of most letters first."""
    found = []
    for key, texts in load().texts.items():
        if key.startswith(SENTENCES):
            english = texts[ENGLISH]
            fixed = len(_HOLE.sub("", english))
            found.append((fixed, key, re.compile(_shape(english), re.DOTALL)))
    found.sort(key=lambda one: -one[0])
    return [(key, shape) for _, key, shape in found]


def _shape(english: str) -> str:
    """Return a pattern whose time grows with the length of what it is tried on.

    What is looked up may be of anybody's making. Each hole that holds anything ends
    where the words after it first stand, for good (an atomic group): were they sought
    again further on, seven holes would cost the seventh power of the length.
    """
    first, *rest = _HOLE.split(english)
    pieces = [re.escape(first)]
    for name, words in zip(rest[::2], rest[1::2], strict=True):
        is_number = name in NUMBERS
        hole = f"(?P<{name}>{NUMBER if is_number else '.+?'}){re.escape(words)}"
        if is_number:  # what stands before it may have to reach further for it
            pieces[-1] += hole
        else:
            pieces.append(hole)
    *early, last = pieces
    return "".join(f"(?>{piece})" for piece in early) + last


def find(sentence: str) -> tuple[str, dict[str, str]] | None:
    """Return key and values of a sentence; None: it is not in the table."""
    for key, shape in _shapes():
        if (match := shape.fullmatch(sentence)) is not None:
            return key, match.groupdict()
    return None


def say(language: str, sentence: str, depth: int = 0) -> str:
    """Return a sentence of the engine in a language; as it is where it is not known."""
    if language == ENGLISH or not sentence or depth > DEEPEST:
        return sentence
    if len(sentence) > LONGEST:  # nor kept: it may be a megabyte of anybody's making
        return sentence
    return _said(language, sentence, depth)


@lru_cache(maxsize=4096)
def _said(language: str, sentence: str, depth: int) -> str:
    if (match := _PLACE.match(sentence)) is not None:
        return f"{match[1]}: {say(language, match[2], depth + 1)}"
    name, _, rest = sentence.partition(": ")
    entry = load().texts.get(f"criterion.{code_of(name)}")
    if entry is not None and (told := say(language, rest, depth + 1)) != rest:
        return f"{entry[language]}: {told}"
    if (found := find(sentence)) is not None:
        key, values = found
        filled = {n: _value(language, n, v, depth) for n, v in values.items()}
        return load().text(language, key, **filled)
    parts = sentence.split("; ")
    if len(parts) > 1:
        said = [say(language, part, depth + 1) for part in parts]
        if said != parts:
            return "。".join(said)
    return sentence


def title(language: str, code: str) -> str:
    """Return what a problem of a code is in general."""
    return load().text(language, f"problem.{code}")


def subject(language: str, name: str) -> str:
    """Return what a line of a check is about."""
    entry = load().texts.get(f"check.{code_of(name)}")
    return name if entry is None else entry[language]


def lines(language: str, found: Iterable[Line]) -> tuple[Line, ...]:
    """Return the lines of a list of checks in a language; what is no word stays."""
    return tuple(
        one.model_copy(
            update={
                "subject": subject(language, one.subject),
                "detail": say(language, one.detail),
            }
        )
        for one in found
    )


def code_of(value: str) -> str:
    """Return the key by which a value of the engine stands in a section."""
    return re.sub(r"[^a-z0-9]+", "_", value.lower()).strip("_")


def _value(language: str, name: str, value: str, depth: int) -> str:
    code = code_of(value)
    for place in WORDS.get(name, ()):
        if (entry := load().texts.get(f"{place}{code}")) is not None:
            return entry[language]
    if name == "groups":
        return value.replace(" and ", "・")
    return say(language, value, depth + 1)
