"""Where everything of a processed movie stands, and how it is read and written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ValidationError

from her2sr_proc.errors import DataError
from her2sr_proc.schema.movie import MovieOrder, MovieSummary
from her2sr_proc.schema.params import ProfileName
from her2sr_proc.store.atomic import write_text

Model = TypeVar("Model", bound=BaseModel)
Kind = Literal["conventional", "superresolution"]


@dataclass(frozen=True, slots=True)
class MovieFolder:
    """The paths of one movie by one profile; nothing is created by asking."""

    out: Path
    profile: ProfileName

    @property
    def root(self) -> Path:
        """A profile has a folder of its own: both may stand side by side."""
        return self.out / self.profile

    @property
    def order(self) -> Path:
        """What was asked for, written first."""
        return self.root / "order.json"

    @property
    def summary(self) -> Path:
        """What was made, written last."""
        return self.root / "summary.json"

    @property
    def table(self) -> Path:
        """As fitted."""
        return self.root / "localizations.parquet"

    @property
    def molecules(self) -> Path:
        """After drift, link and filter, where the profile has these."""
        return self.root / "molecules.parquet"

    @property
    def parts(self) -> Path:
        """Tables by block, until they are joined."""
        return self.root / "unfinished"

    @property
    def aside(self) -> Path:
        """What does not fit into memory while molecules are put in order."""
        return self.parts / "molecules"

    def part(self, first_frame: int) -> Path:
        """Where the table of the block stands that begins with a frame."""
        return self.parts / f"{first_frame:09d}.parquet"

    def image(self, kind: Kind) -> Path:
        """Where a TIFF stands."""
        return self.root / f"{kind}.tif"

    def preview(self, kind: Kind) -> Path:
        """Where the same stands as a PNG for people."""
        return self.root / f"{kind}.png"


def read_order(folder: MovieFolder) -> MovieOrder | None:
    """Return what a folder was begun with; none: it was not. Raises `DataError`."""
    return _read(MovieOrder, folder.order, "choose another --out")


def write_order(folder: MovieFolder, order: MovieOrder) -> None:
    """Write what a folder is begun with."""
    write_text(folder.order, order.model_dump_json(indent=2) + "\n")


def read_summary(folder: MovieFolder) -> MovieSummary | None:
    """Return what a folder says of its result; none: it is not whole."""
    cure = "remove it, and the same call writes it anew"
    return _read(MovieSummary, folder.summary, cure)


def write_summary(folder: MovieFolder, summary: MovieSummary) -> None:
    """Say that the result is whole."""
    write_text(folder.summary, summary.model_dump_json(indent=2) + "\n")


def _read(model: type[Model], path: Path, cure: str) -> Model | None:
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as exc:
        raise DataError(
            f"{path} is not what this program writes there; {cure}"
        ) from exc
