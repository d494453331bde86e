"""What a movie's file says of a program that cleaned it, if it says so.

Only words of this page are ever returned: what else stands in a file may tell a person.
"""

from __future__ import annotations

import re
from pathlib import Path

import tifffile

from her2sr_proc.store.tiff import READ_ERRORS, SUFFIXES

LONGEST = 2**20
"""Characters of a description that are searched."""
_WORDS = {
    "her2sr denoise": r"her2sr denoise",
    "a rolling ball": r"rolling ball",
    "a threshold": r"\bthreshold [^\n]*, (?:tozero|subtract)",
    "Noise2Void": r"noise2void|\bn2v2?\b|structn2v",
    "CSBDeep": r"csbdeep",
    "CAREamics": r"careamics",
    "a denoising program": r"\bdenois",
}


def cleaning_named(path: Path) -> str:
    """Return what program a TIFF says it was cleaned by; empty: it says nothing.

    Whether the file can be read at all is not judged here.
    """
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return ""
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            info = (file.imagej_metadata or {}).get("Info", "")
            said = (page.description, page.software, str(info))
    except (*READ_ERRORS, IndexError):
        return ""
    text = " ".join(str(part)[:LONGEST] for part in said).lower()
    return next((name for name, word in _WORDS.items() if re.search(word, text)), "")
