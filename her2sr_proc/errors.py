"""Everything this package raises on purpose.

ProcError
├─ RequestError        the request cannot be met as asked; nothing was written
│  └─ AbsentError      what the request names is not there
├─ DataError           what was read is not what it should be
│  ├─ MovieError       a movie is missing, truncated or of the wrong kind
│  ├─ TableError       a table lacks columns or holds impossible values
│  ├─ ModelError       a denoising model is missing, broken or of another kind
│  ├─ WireError        a message is not a block
│  └─ IntegrityError   a stored block does not match its checksum
├─ WriteError          a result could not be written; what stood there is untouched
├─ StateError          the request is fine, but not for this run folder as it stands
│  └─ BlindError       a person asks for what would end a blind reading
├─ NetworkError        a trained network or what runs it is missing or broken
├─ SegmenterError      a segmentation program of others is not installed, or failed
└─ ClusterError        computers that were to share the work cannot be reached
"""

from __future__ import annotations

import errno

_CURES = {
    errno.ENOSPC: "make room there, then give the same call again",
    errno.EDQUOT: "make room there, then give the same call again",
    errno.EFBIG: "allow larger files there, then give the same call again",
    errno.EROFS: "work on a copy of the folder elsewhere",
    errno.EACCES: "ask its owner for the right, or work on a copy of the folder",
    errno.EPERM: "ask its owner for the right, or work on a copy of the folder",
}


def system_sentence(error: OSError) -> str:
    """Return what the system refused, where, and what helps, in one line."""
    said = error.strerror or str(error)
    cure = _CURES.get(error.errno or 0, "")
    place = f" ({error.filename})" if error.filename else ""
    return f"{said}{place}" + (f"; {cure}" if cure else "")


class ProcError(Exception):
    """Base class: catch this to catch every expected failure."""

    code = "proc-error"
    """Stable identifier for clients and log searches; the wording may change."""
    is_request = False
    """Whether whoever asked is to ask otherwise; a command then ends with 2, not 1."""

    def __init__(self, message: str, **context: object) -> None:
        super().__init__(message)
        self.context = context


class RequestError(ProcError):
    """The request cannot be met as asked; nothing was written."""

    code = "bad-request"
    is_request = True


class AbsentError(RequestError):
    """What the request names is not there."""

    code = "not-found"


class DataError(ProcError):
    """What was read is not what it should be."""

    code = "bad-data"


class MovieError(DataError):
    """A movie is missing, truncated or of the wrong kind."""

    code = "bad-movie"
    is_request = True


class TableError(DataError):
    """A table lacks columns or holds impossible values."""

    code = "bad-table"
    is_request = True


class ModelError(DataError):
    """A denoising model is missing, broken or of another kind."""

    code = "bad-model"
    is_request = True


class WireError(DataError):
    """A message is not a block."""

    code = "bad-message"


class IntegrityError(DataError):
    """A stored block does not match its checksum."""

    code = "bad-checksum"


class WriteError(ProcError):
    """A result could not be written; what stood there is untouched."""

    code = "not-written"


class StateError(ProcError):
    """The request is fine, but not for this run folder as it stands."""

    code = "bad-state"
    is_request = True


class BlindError(StateError):
    """A person asks for what would end a blind reading."""

    code = "blinded"


class NetworkError(ProcError):
    """A trained network or what runs it is missing or broken."""

    code = "no-network"
    is_request = True


class SegmenterError(ProcError):
    """A segmentation program of others is not installed, or failed."""

    code = "no-segmenter"
    is_request = True


class ClusterError(ProcError):
    """Computers that were to share the work cannot be reached."""

    code = "no-cluster"
