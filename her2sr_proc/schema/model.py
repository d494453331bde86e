"""The base of every model that crosses a border: frozen, and closed to surprises."""

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, model_validator

from her2sr_proc.schema.span import Span


class Frozen(BaseModel):
    """Immutable; an unknown key is an error, not a silent nothing.

    So is true or false where a number is asked for, which would count as 1 or 0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_truth_for_a_number(cls, values: object) -> object:
        for name, value in values.items() if isinstance(values, dict) else ():
            if value is not True and value is not False:
                continue
            field = cls.model_fields.get(name)
            if field is None or any(isinstance(m, Span) for m in field.metadata):
                continue  # a span refuses it, too, and tells its range
            if not _takes_truth(field.annotation):
                word = str(value).lower()
                raise ValueError(f"{name}: a value is asked for, not {word}")
        return values


def _takes_truth(annotation: Any) -> bool:  # noqa: ANN401 - any type may be asked for
    if annotation in (bool, Any, object):
        return True
    return any(
        part is True or part is False or _takes_truth(part)
        for part in get_args(annotation)
    )
