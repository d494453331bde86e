"""Lines of the log: words or JSON, each with the run and unit it is about."""

import io
import json
import logging
import threading

import pytest

from her2sr_proc import logs


@pytest.fixture
def log(monkeypatch):
    """A logger of its own, and what it wrote in a form."""
    logger = logging.getLogger("her2sr.test")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "propagate", False)

    def in_form(form: logging.Formatter) -> io.StringIO:
        held = io.StringIO()
        handler = logging.StreamHandler(held)
        handler.setFormatter(form)
        logger.addHandler(handler)
        return held

    return logger, in_form


def test_a_json_line_names_process_run_and_unit(log):
    logger, in_form = log
    held = in_form(logs.JsonLines("acq"))
    with logs.process_at(run="r1"), logs.process_at(unit="r00_c00/561"):
        logger.warning("a %s\nline", "broken")
    (line,) = held.getvalue().splitlines()
    told = json.loads(line)
    assert (told["process"], told["run"], told["unit"]) == ("acq", "r1", "r00_c00/561")
    assert (told["level"], told["message"]) == ("warning", "a broken\nline")
    assert told["time"].endswith("Z")


def test_words_show_them_in_brackets_and_nothing_where_there_is_none(log):
    logger, in_form = log
    held = in_form(logs.Words())
    logger.warning("before")
    with logs.process_at(run="r1"):
        logger.warning("within")
    first, second = held.getvalue().splitlines()
    assert first.endswith("WARNING her2sr.test: before")
    assert second.endswith("WARNING her2sr.test [r1]: within")


def test_every_thread_of_acq_logs_of_its_run_and_a_localizers_of_their_own(log):
    logger, in_form = log
    held = in_form(logs.JsonLines("localizer"))
    ready = threading.Barrier(2, timeout=5)

    def work(unit: str) -> None:
        with logs.thread_at(unit=unit):
            ready.wait()
            logger.warning("%s", unit)

    with logs.process_at(run="r1"):
        threads = [threading.Thread(target=work, args=(u,)) for u in ("a", "b")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    told = [json.loads(line) for line in held.getvalue().splitlines()]
    assert [(t["run"], t["unit"]) for t in told] == [("r1", t["message"]) for t in told]
    assert logs.facts() == {}


@pytest.mark.parametrize("form", [logs.JsonLines("acq"), logs.Words()])
def test_a_traceback_is_in_the_line_once(log, form):
    logger, in_form = log
    held = in_form(form)
    try:
        int("the cause")
    except ValueError:
        logger.exception("it failed")
    assert held.getvalue().count("ValueError: invalid literal") == 1


def test_a_fault_leaves_no_name_behind():
    with pytest.raises(ValueError, match="x"), logs.process_at(run="r1"):
        raise ValueError("x")
    assert logs.facts() == {}


@pytest.mark.parametrize(
    ("asked", "is_json"), [("json", True), ("JSON", True), ("", 0)]
)
def test_the_environment_chooses_the_form(monkeypatch, capsys, asked, is_json):
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    level = root.level
    try:
        logs.start("guard", {logs.VARIABLE: asked})
        logging.getLogger("her2sr.form").info("hello")
    finally:
        root.setLevel(level)
    line = capsys.readouterr().err
    assert line.startswith("{") is bool(is_json)
    assert "hello" in line
