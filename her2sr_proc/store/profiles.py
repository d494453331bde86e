"""The locked profiles: YAML files beside the program, each with its own digest.

A file whose settings do not give the digest that it names was changed by hand, and is
refused: two results of one name must be results of the same steps.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

import yaml
from pydantic import ValidationError

from her2sr_proc.errors import DataError
from her2sr_proc.schema.params import Profile, ProfileName

FOLDER = "profiles"


@cache
def load_profile(name: ProfileName) -> Profile:
    """Return a locked profile. Raises `DataError` when its file was changed."""
    file = resources.files("her2sr_proc") / FOLDER / f"{name}.yaml"
    try:
        said = yaml.safe_load(file.read_text())
        digest = said.pop("digest")
        profile = Profile.model_validate(said)
    except (OSError, yaml.YAMLError, AttributeError, KeyError, ValidationError) as exc:
        first = str(exc).splitlines()[0]
        raise DataError(
            f"the profile '{name}' cannot be read ({first}); install her2sr again"
        ) from exc
    if (profile.name, profile.digest) != (name, digest):
        raise DataError(
            f"the profile '{name}' was changed: its settings have the digest "
            f"{profile.digest}, its file says {digest}; install her2sr again, or give "
            f"your own settings a name of their own"
        )
    return profile


def dump_profile(profile: Profile) -> str:
    """Return a profile as the text of its file."""
    head = (
        f"# The locked profile '{profile.name}', written by tools/profiles.py.\n"
        f"# For research use only. Not for use in diagnostic procedures.\n"
    )
    body = {"digest": profile.digest, **profile.model_dump(mode="json")}
    return head + yaml.safe_dump(body, sort_keys=False)
