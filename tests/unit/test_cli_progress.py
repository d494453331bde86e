"""How far a verb is: a bar on a terminal, few plain lines elsewhere."""

import io

from her2sr_proc.cli_progress import showing


class Terminal(io.StringIO):
    """A standard error that says it is one."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_a_bar_with_counts_that_goes_away(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with showing("frames") as tell:
        tell(0, 400)
        tell(400, 400)
    assert "400/400" in terminal.getvalue()
    assert "frames" in terminal.getvalue()


def test_elsewhere_a_line_is_printed_for_every_tenth(capsys):
    with showing("frames") as tell:
        for done in range(1, 401):
            tell(done, 400)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "frames: 40 of 400"
    assert lines[-1] == "frames: 400 of 400"
    assert len(lines) == 10
