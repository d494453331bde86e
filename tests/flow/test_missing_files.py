"""What a call names and is not there is a wrong request: exit code 2, of every verb."""

import shlex
from collections.abc import Iterator

import numpy as np
import pytest
from typer.main import get_command

from her2sr_acq.cli import build, main

CALLS = (
    "localize nope.tif --out o.csv",
    "localize m.npy --out o.csv --camera-maps nope.npz",
    "render nope.csv --out o.tif",
    "process nope",
    "process nope.tif --channel 488 --out o",
    "process m.npy --channel 488 --out o --camera-maps nope.npz",
    "process m.npy --channel 488 --out o --profile paper --model nope.zip",
    "verify nope",
    "import --her2 nope.tif --cep17 m.npy --out r1",
    "import --her2 m.npy --cep17 nope.tif --out r1",
    "import --her2 m.npy --cep17 m.npy --dapi nope.tif --out r1",
    "offload nope share",
    "recompress nope",
    "filter nope.csv 'photons > 1' --out o.csv",
    "link nope.csv --out o.csv",
    "drift nope.csv --out o.csv",
    "resolution nope.csv",
    "ensemble nope.csv",
    "nuclei nope.tif --out o.tif",
    "nuclei m.npy --out o.tif --labels nope.tif",
    "nuclei m.npy --out o.tif --labels nope.geojson",
    "nuclei m.npy --out o.tif --labels nope.zip",
    "count nope.csv --probe HER2 --nuclei n.tif --out o.csv",
    "count l.csv --probe HER2 --nuclei nope.tif --out o.csv",
    "count l.csv --probe HER2 --nuclei n.tif --beside nope.csv --out o.csv",
    "background nope.tif --out o.tif",
    "compare nope.tif --out o",
    "score nope.csv",
    "score c.csv --by observer-1 --marks nope.geojson",
    "score c.csv --by observer-1 --marks nope.csv",
    "score c.csv --evidence nope.json",
    "statistics nope.csv --out o",
    "statistics h.csv --out o --thresholds nope.csv",
    "statistics h.csv --out o --observers nope.csv",
    "report nope",
    "recover --data nope",
    "backup --data nope --out o",
    "restore --data d --from nope",
    "serve --config nope.yaml --data d",
    "run nope.yaml --config simulated --data d",
    "run demo --config nope.yaml --data d",
    "doctor --config nope.yaml",
    "calibrate camera --config nope.yaml",
    "plan export nope.yaml --out o.json",
    "plan export demo --out o.json --config nope.yaml",
    "plan import nope.json --out o.yaml",
    "frames split nope.tif --out o.tif",
    "frames combine nope.tif m.npy --out o.tif",
    "frames keep nope.tif --out o.tif",
    "threshold label nope.tif --nuclei n.tif --out o.csv",
    "threshold label m.npy --nuclei nope.tif --out o.csv",
    "threshold fit nope.csv --out o.json",
    "threshold apply m.npy --model nope.json --out o.tif",
    "threshold apply nope.tif --k 4.84 --out o.tif",
    "denoise train nope.tif --out o.zip",
    "denoise apply m.npy --model nope.zip --out o.tif",
    "denoise apply nope.tif --model nope.zip --out o.tif",
    "denoise import nope.zip --out o.zip",
    "users list --data nope",
    "users audit --data nope",
    "users remove op-1 --data nope",
    "users token op-1 --data nope",
    "users revoke 3f2a90c1d4e5 --data nope",
)
ELSEWHERE = {
    "demo": "reads no file",
    "study": "reads no file",
    "bench": "reads no file",
    "bench pipeline": "reads no file",
    "estop": "puts the light out of whatever folder it is told",
    "dark": "asks the light, not a file",
    "rearm": "asks the guard, not a file",
    "users add": "a folder that is not there yet is where the first is added",
}
"""Verbs that no missing file can be named to, and why."""
TABLE = """\
frame,x [nm],y [nm],sigma [nm],intensity [photon],offset [photon],bkgstd [photon],\
uncertainty [nm]
1,500,600,130,800,10,3,12
"""
THERE = {
    "l.csv": TABLE,
    "c.csv": "field,nucleus,her2,cep17\nr00_c00,1,4,2\n",
    "h.csv": "sample,status\ns1,positive\n",
    "n.tif": "",
}


def verbs(command, name="") -> Iterator[str]:
    """Yield the name of everything that can be called."""
    for word, verb in getattr(command, "commands", {}).items():
        yield from verbs(verb, f"{name} {word}".strip())
    is_group = hasattr(command, "commands")
    if name and (not is_group or command.invoke_without_command):
        yield name


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A movie, tables and nuclei that are there, in the folder of the call."""
    monkeypatch.chdir(tmp_path)
    np.save("m.npy", np.full((4, 40, 50), 100, np.uint16))
    for name, text in THERE.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("call", CALLS)
def test_what_is_not_there_is_a_wrong_request(call, folder, capsys):
    if call.startswith("denoise train"):
        pytest.importorskip("torch", reason="training needs the extra train")
    with pytest.raises(SystemExit) as ended:
        main(shlex.split(call))
    assert ended.value.code == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert "nope" in last
    assert {path.name for path in folder.iterdir()} == {"m.npy", *THERE}


def test_no_verb_that_takes_a_path_is_forgotten():
    called = set(verbs(get_command(build())))
    tried = {v for v in called for call in CALLS if f"{call} ".startswith(f"{v} ")}
    assert tried | set(ELSEWHERE) == called
    assert not tried & set(ELSEWHERE)


def test_a_program_that_is_not_installed_is_a_wrong_request(folder, capsys):
    with pytest.raises(SystemExit) as ended:
        main(shlex.split("nuclei m.npy --out o.tif --method plugin:stardist"))
    assert ended.value.code == 2
    assert "pip install stardist" in capsys.readouterr().err
