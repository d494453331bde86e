"""The lines of a field are found as a whole scan finds them, without one."""

import json
import os
import shutil
import threading

import numpy as np
import pytest
from run_folders import add_unit, make_run

from her2sr_proc.errors import IntegrityError
from her2sr_proc.store.ledger import read_ledger
from her2sr_proc.store.line_index import STRIDE, LineIndex, lines_after, lines_naming
from her2sr_proc.store.lines import LineWriter, numbered_lines

FIELDS = ("r00_c00", "r00_c01", "r10_c100", "r00_c10")


def scan(path, field):
    return list(numbered_lines(path, having=f'"{field}"'))


def line_of(rng) -> str:
    """Return a line as of a ledger: of one field, of none, or of two."""
    named = rng.choice(FIELDS, rng.integers(0, 3))
    words = {f"k{n}": str(name) for n, name in enumerate(named)}
    other = str(rng.choice(["", 'r00_c00"', "r00_c00", "\x0b\x1c\u2028", "é" * 40]))
    return json.dumps(words | {"n": int(rng.integers(1e9)), "reason": other})


class File:
    """A ledger to which happens what may happen to one."""

    def __init__(self, path, rng):
        self.path, self.rng = path, rng

    def _write(self, mode, text):
        with self.path.open(mode) as file:
            file.write(text.encode())

    def _bytes(self):
        return self.path.read_bytes() if self.path.exists() else b""

    def grows(self):
        if not self._bytes().endswith(b"\n"):
            self.is_opened_again()
        lines = [line_of(self.rng) + "\n" for _ in range(self.rng.integers(1, 6))]
        self._write("ab", "".join(lines))

    def is_torn(self):
        self._write("ab", line_of(self.rng)[: self.rng.integers(1, 30)])

    def is_opened_again(self):
        with LineWriter(self.path) as lines:
            lines.append(line_of(self.rng))

    def loses_a_line_that_did_not_reach_the_disk(self):
        whole = self._bytes()
        cut = whole.rstrip(b"\n").rfind(b"\n") + 1
        if whole:
            os.truncate(self.path, cut)
            self._write("ab", line_of(self.rng) + "\n" + line_of(self.rng) + "\n")

    def is_replaced(self):
        beside = self.path.with_name("beside")
        lines = [line_of(self.rng) + "\n" for _ in range(self.rng.integers(0, 9))]
        beside.write_text("".join(lines))
        beside.replace(self.path)

    def is_restored_from_a_copy(self):
        if self.path.exists():
            copy = self.path.with_name("copy")
            shutil.copy2(self.path, copy)
            self.path.unlink()
            copy.replace(self.path)

    def is_emptied(self):
        self._write("wb", "")

    def goes(self):
        self.path.unlink(missing_ok=True)


HAPPENINGS = sorted(name for name in vars(File) if not name.startswith("_"))


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_to_a_file_its_lines_are_those_of_a_whole_scan(seed, tmp_path):
    rng = np.random.default_rng(seed)
    file = File(tmp_path / "ledger.jsonl", rng)
    for _ in range(60):
        what = "grows" if rng.random() < 0.4 else str(rng.choice(HAPPENINGS))
        getattr(file, what)()
        for field in (*FIELDS, "r99_c99"):
            assert list(lines_naming(file.path, field)) == scan(file.path, field), what
        whole = list(numbered_lines(file.path))
        for number in (0, len(whole) // 2, max(0, len(whole) - 1), len(whole) + 3):
            assert lines_after(file.path, number, 70) == whole[number : number + 70]


def test_a_name_that_is_no_field_is_looked_for_in_every_line(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"a":"x.y"}\n{"a":"xzy"}\n{"a":"r00_c00é"}\n')
    assert list(lines_naming(path, "x.y")) == [(1, '{"a":"x.y"}')]
    assert list(lines_naming(path, "r00_c00é")) == [(3, '{"a":"r00_c00é"}')]


THREE = b'{"f":"r00_c00"}\n{"f":"r00_c01"}\n{"f":"r00_c10"}\n'


def test_another_file_that_begins_and_ends_alike_is_another_file(tmp_path):
    path = tmp_path / "ledger.jsonl"
    index = LineIndex(path)
    path.write_bytes(THREE)
    assert index.lines("r00_c02") == []
    beside = tmp_path / "beside"
    beside.write_bytes(THREE.replace(b"c01", b"c02") + THREE)
    beside.replace(path)
    assert [number for number, _ in index.lines("r00_c02")] == [2]


def test_a_file_that_was_changed_but_did_not_grow_is_read_anew(tmp_path):
    path = tmp_path / "ledger.jsonl"
    index = LineIndex(path)
    path.write_bytes(THREE)
    assert index.lines("r00_c02") == []
    path.write_bytes(THREE.replace(b"c01", b"c02"))
    later = path.stat().st_mtime_ns + 1_000_000  # clocks of files tick every few ms
    os.utime(path, ns=(later, later))
    assert [number for number, _ in index.lines("r00_c02")] == [2]


def test_a_line_written_over_in_place_is_seen(tmp_path):
    path = tmp_path / "ledger.jsonl"
    index = LineIndex(path)
    before = THREE
    path.write_bytes(before)
    assert len(index.lines("r00_c01")) == 1
    path.write_bytes(before.replace(b"c01", b"c00") + b'{"f":"r00_c10"}\n')
    assert index.lines("r00_c01") == []
    assert [number for number, _ in index.lines("r00_c00")] == [1, 2]


def test_only_what_was_appended_is_read(tmp_path, monkeypatch):
    path = tmp_path / "ledger.jsonl"
    index = LineIndex(path)
    taken, take = [], LineIndex._take

    def counted(self, data):
        taken.append(data)
        take(self, data)

    monkeypatch.setattr(LineIndex, "_take", counted)
    for number in range(50):
        with path.open("a") as file:
            file.write(f'{{"f":"r00_c{number:02d}"}}\n')
        assert index.lines(f"r00_c{number:02d}")[0][0] == number + 1
    assert len(taken) == 50


@pytest.mark.parametrize("number", [0, STRIDE - 1, STRIDE, STRIDE + 1, 3 * STRIDE + 5])
def test_lines_follow_any_number(number, tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text("".join(f'{{"n":{n}}}\n' for n in range(4 * STRIDE)) + '{"n":')
    found = lines_after(path, number, 2 * STRIDE)
    assert found == [
        (n + 1, f'{{"n":{n}}}')
        for n in range(number, min(number + 2 * STRIDE, 4 * STRIDE))
    ]


def test_lines_that_were_written_over_in_place_are_counted_anew(tmp_path):
    path = tmp_path / "events.jsonl"
    index = LineIndex(path)
    lines = [b"%06d\n" % n for n in range(3 * STRIDE)]
    path.write_bytes(b"".join(lines))
    assert index.after(STRIDE, 1) == [(STRIDE + 1, lines[STRIDE])]
    changed = [*lines[:9], b"longer than it was\n", *lines[10:], b"more\n"]
    path.write_bytes(lines[0] + b"".join(changed[1:]))
    assert index.after(STRIDE, 1) == [(STRIDE + 1, lines[STRIDE])]


def test_a_damaged_line_of_the_field_alone_is_an_error(tmp_path):
    run = make_run(tmp_path / "run", frames={"561": 20}, size=8)
    add_unit(run, "561", np.ones((20, 8, 8), np.uint16))
    with run.ledger.open("ab") as file:
        file.write(b'{"field":"r00_c01"}\n{"field":"r00_c02\xff","x":"r00_c02"}\n')
    assert len(read_ledger(run.ledger, field="r00_c00")) == 1
    for field, number in (("r00_c01", 4), ("r00_c02", 5)):
        with pytest.raises(IntegrityError, match=rf"ledger.jsonl line {number}"):
            read_ledger(run.ledger, field=field)


def test_lines_that_are_appended_meanwhile_are_whole_or_not_there(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.touch()
    done = threading.Event()
    lines = [json.dumps({"f": FIELDS[n % 4], "n": "x" * (n % 97)}) for n in range(3000)]

    def write():
        with path.open("ab", buffering=0) as file:
            for line in lines:
                data = line.encode() + b"\n"
                file.write(data[: len(data) // 2])
                file.write(data[len(data) // 2 :])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    mine = [(n + 1, line) for n, line in enumerate(lines) if n % 4 == 1]
    seen = 0
    while not done.is_set():
        found = list(lines_naming(path, FIELDS[1]))
        assert found == mine[: len(found)]
        assert len(found) >= seen
        seen = len(found)
    writer.join()
    assert list(lines_naming(path, FIELDS[1])) == mine
