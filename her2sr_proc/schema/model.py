"""The base of every model that crosses a border: frozen, and closed to surprises."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Immutable; an unknown key is an error, not a silent nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
