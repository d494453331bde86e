"""Which language a visitor is spoken to in, and the words for the page being made."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Annotated

from fastapi import Depends, Request

from her2sr_acq.service import phrases, wording
from her2sr_acq.service.strings import LANGUAGES, load

COOKIE = "her2sr_language"
SPOKEN: ContextVar[str] = ContextVar("spoken", default=LANGUAGES[0])
PLACE: ContextVar[str] = ContextVar("place", default="/")
"""Path of the page that is being made: where a switch of language leads back to."""


def choose(cookie: str | None, accepted: str) -> str:
    """Return the language asked for: by cookie, else by ``Accept-Language``."""
    if cookie in LANGUAGES:
        return str(cookie)
    wanted: list[tuple[float, str]] = []
    for part in accepted[:500].split(","):
        name, _, quality = part.strip().partition(";q=")
        code = name.split("-")[0].lower()
        if code in LANGUAGES:
            wanted.append((-_quality(quality), code))
    return min(wanted, key=lambda pair: pair[0])[1] if wanted else LANGUAGES[0]


def _quality(text: str) -> float:
    try:
        return float(text or 1.0)
    except ValueError:
        return 0.0


def spoken_by(request: Request) -> str:
    """Return the language of who asks; English for a program that names none."""
    accepted = request.headers.get("accept-language", "")
    return choose(request.cookies.get(COOKIE), accepted)


async def _spoken(request: Request) -> str:  # async: it needs no thread
    return spoken_by(request)


SpokenDep = Annotated[str, Depends(_spoken)]


async def listen(request: Request) -> None:
    """Note for the page that is made what language it is to speak."""
    SPOKEN.set(spoken_by(request))
    PLACE.set(request.url.path)


def said(sentence: str) -> str:
    """Return a sentence of the engine in the language of the visitor."""
    return phrases.say(SPOKEN.get(), sentence)


def sentence(text: str) -> str:
    """Return a sentence of the engine with the stop that the language ends it by."""
    return t("frame.sentence", text=said(text))


def duration(seconds: float) -> str:
    """Return a time span as a person would say it in the language of the visitor."""
    parts = wording.duration(seconds).split(" ")
    amounts, units = parts[::2], parts[1::2]
    return " ".join(
        f"{n} {word(unit, 'unit')}" for n, unit in zip(amounts, units, strict=True)
    )


def word(value: str, section: str) -> str:
    """Return the word of a section for a value; without one the value as words."""
    name, _, number = value.rpartition(" ")
    if name and number.isdigit():  # such as laser 561
        return f"{word(name, section)} {number}"
    entry = load().texts.get(f"{section}.{phrases.code_of(value)}")
    return value.replace("_", " ") if entry is None else entry[SPOKEN.get()]


def known(value: str, section: str) -> str:
    """Return the word of a section for a value; as it is where there is none."""
    entry = load().texts.get(f"{section}.{phrases.code_of(value)}")
    return value if entry is None else entry[SPOKEN.get()]


def t(key: str, **values: object) -> str:
    """Return a text of the table in the language of the visitor."""
    return load().text(SPOKEN.get(), key, **values)


def section(name: str) -> dict[str, str]:
    """Return the texts of a section for a script that fills them itself."""
    return load().section(SPOKEN.get(), name)


def label(value: str, kind: str = "state") -> str:
    """Return the words for a value of an enumeration, such as a run's state."""
    return t(f"{kind}.{value}")
