"""Row 24 of the fault table: whoever is to be told is down, slow, refuses, or hangs."""

import time
from contextlib import ExitStack

import httpx
import pytest
import yaml
from hook_server import hook_server
from mail_server import mail_server
from night_audit import audit
from nights import night, night_config, night_request, until
from short import short_folder

FRAMES = 300
HOOKS = ("good", "slow", "refusing", "hanging")


def add_targets(path, ports, mail_port):
    """Write the targets into a configuration."""
    data = yaml.safe_load(path.read_text())
    urls = {name: f"http://127.0.0.1:{port}/" for name, port in ports.items()}
    mail = {"name": "letters", "host": "127.0.0.1", "port": mail_port}
    mail |= {"security": "none", "sender": "a@lab.example", "to": ["b@lab.example"]}
    data["notify"] = {
        "webhooks": [{"name": name, "url": url} for name, url in urls.items()],
        "mail": [mail],
        "allow_hosts": ["127.0.0.1"],
        "allow_private": ["127.0.0.0/8"],
    }
    path.write_text(yaml.safe_dump(data))


def taken(service):
    """Take a run; return what is wrong with it, and its seconds."""
    began = time.monotonic()
    asked = night_request(rows=1, columns=1, frames=FRAMES)
    run = service.control.submit(asked)
    view = service.rest(run.id, within_s=60.0)
    seconds = time.monotonic() - began
    found = audit(service.folder(view), view, service.control.fields(run.id))
    assert view.state == "completed", view
    assert (found.accounting.written, found.violations) == (2 * FRAMES, ())
    return seconds


def in_vain(service, target):
    """Return how many notices wait for a target, or were given up."""
    text = httpx.get(f"{service.launcher.url}/metrics", timeout=5.0).text
    lines = [line for line in text.splitlines() if f'target="{target}"' in line]
    counted = [
        line for line in lines if "waiting" in line or 'outcome="failed"' in line
    ]
    return sum(float(line.split()[-1]) for line in counted)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_row_24_targets_that_do_not_answer_cost_a_run_neither_frame_nor_time():
    with ExitStack() as stack, short_folder() as folder:
        hooks = {name: stack.enter_context(hook_server()) for name in HOOKS}
        letters = stack.enter_context(mail_server())
        falling = stack.enter_context(ExitStack())
        ports = {name: hook.port for name, hook in hooks.items()}
        ports["down"] = falling.enter_context(hook_server()).port
        config = night_config(folder, time_scale=10.0)
        add_targets(config, ports, letters.port)
        with night(config, folder / "data") as service:
            while_all_answer = taken(service)
            until(lambda: len(letters.letters) == 2, within_s=10.0)
            falling.close()
            hooks["slow"].silent_s = 60.0
            hooks["hanging"].drip_s = letters.drip_s = 1.0
            hooks["refusing"].answers += [500] * 20
            before = len(hooks["good"].bodies)
            while_none_does = taken(service)
            until(lambda: len(hooks["good"].bodies) == before + 2, within_s=10.0)
            bad = ("slow", "refusing", "hanging", "down", "letters")
            assert all(in_vain(service, name) for name in bad)
            began = time.monotonic()
        assert time.monotonic() - began < 20.0  # nor is the end kept waiting
    assert while_none_does < 1.3 * while_all_answer + 1.0
