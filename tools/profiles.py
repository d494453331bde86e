"""Write the locked profiles of `her2sr_proc/profiles` from the program's settings.

To be run when a setting is meant to change; the digest changes with it, and results
say so.
"""

from __future__ import annotations

from pathlib import Path

from her2sr_proc.schema.params import PROFILES
from her2sr_proc.store.profiles import FOLDER, dump_profile

HERE = Path(__file__).parents[1] / "her2sr_proc" / FOLDER


def main() -> None:
    """Write one file a profile."""
    for profile in PROFILES:
        (HERE / f"{profile.name}.yaml").write_text(dump_profile(profile))


if __name__ == "__main__":
    main()
