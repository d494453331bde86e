"""What a call names and is not there is a wrong request: exit code 2."""

import numpy as np
import pytest

from her2sr_acq.cli import main

CALLS = (
    "localize nope.tif --out o.csv",
    "background nope.tif --out o.tif",
    "nuclei nope.tif --out o.tif",
    "threshold apply m.npy --model nope.json --out o.tif",
    "threshold fit nope.csv --out o.json",
    "denoise apply m.npy --model nope.zip --out o.tif",
    "denoise import nope.zip --out o.zip",
    "score nope.csv",
    "count nope.csv --probe HER2 --nuclei nope.tif --out o.csv",
    "statistics nope.csv --out odir",
    "filter nope.csv 'photons > 1' --out o.csv",
    "render nope.csv --out o.tif",
    "report nope",
    "verify nope",
)


@pytest.mark.parametrize("call", CALLS)
def test_what_is_not_there_is_a_wrong_request(call, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("m.npy", np.full((4, 40, 50), 100, np.uint16))
    with pytest.raises(SystemExit) as ended:
        main(call.replace("'", "").replace(" > ", ">").split())
    assert ended.value.code == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert "nope" in last
    assert {path.name for path in tmp_path.iterdir()} == {"m.npy"}
