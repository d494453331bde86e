"""``offload.json``: which files of a run stand verified on a share."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from her2sr_proc.schema.block import NAME
from her2sr_proc.schema.model import Frozen


class CopiedFile(Frozen):
    """One file as it was read back from the share."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class OffloadList(Frozen):
    """Written last: a share without it holds an unfinished copy."""

    version: Literal[1] = 1
    run: str = Field(pattern=NAME)
    utc: str
    files: dict[str, CopiedFile] = Field(description="by path in the run folder")
    exports: dict[str, CopiedFile] = Field(
        default_factory=dict, description="TIFFs made for the copy, by path in it"
    )
