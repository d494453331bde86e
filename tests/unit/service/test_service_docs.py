"""The commands of docs/rest.md, run as they stand there, and the client beside them."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from rest_fuzz import served

from her2sr_acq.client import Client
from her2sr_acq.engine.states import RunState
from her2sr_acq.engine.views import RunRequest
from her2sr_acq.errors import ForbiddenError, LeaseHeldError, LoginNeededError
from her2sr_proc.store.chain import EventChain

PAGE = (Path(__file__).parents[3] / "docs" / "rest.md").read_text()
COMMANDS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
WANTED = RunRequest(protocol="small", sample="s-17", operator="otto")


@pytest.fixture
def text(token) -> str:
    return token("operator")["authorization"].removeprefix("Bearer ")


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_every_command_of_the_page_works_in_its_order(guarded, data, done, text):
    with EventChain(data.run(done)) as chain:
        chain.add("state", {}, utc="2026", monotonic_s=0.0)
    known = {**os.environ, "HER2SR_TOKEN": text, "RUN": done, "no_proxy": "*"}
    with served(guarded.app) as url:
        for command in COMMANDS:
            # the page's protocol and operator are not those of the test
            asked = command.replace("http://127.0.0.1:8000", url)
            asked = asked.replace("op-2", "otto").replace('"demo"', '"small"')
            asked = asked.replace("curl ", "curl --fail-with-body ", 1)
            done_ = subprocess.run(
                ["bash", "-c", asked],
                env=known,
                capture_output=True,
                text=True,
                check=False,
                timeout=20,
            )
            assert done_.returncode == 0, (command, done_.stdout, done_.stderr)
            if "fence" in done_.stdout:
                known["FENCE"] = str(json.loads(done_.stdout)["fence"])
    assert len(COMMANDS) >= 10


def test_the_client_takes_the_lease_for_its_orders(guarded, control, text):
    with served(guarded.app) as url, Client(url, token=text) as client:
        run = client.submit(WANTED, idempotency_key="k")
        assert client.submit(WANTED, idempotency_key="k").id == run.id
        assert [view.id for view in client.runs()] == [run.id]
        assert client.pause(run.id).state == "paused"
        assert client.resume(run.id).state == "running"
        assert client.move_stage(x_um=1.0, y_um=2.0).y_um == 2.0
        assert client.fields(run.id)[0].name == "r00_c00"
        assert client.preflight(WANTED).ok
        assert client.devices().devices[0].label == "Camera"
        assert client.protocols()[0].name == "small"
        assert client.stop(run.id).state == "stopping"
    assert {name for _, name in control.orders} == {"otto"}


def test_the_client_follows_a_run_to_its_end(guarded, control, text):
    with served(guarded.app) as url, Client(url, token=text) as client:
        run = client.submit(WANTED, idempotency_key="k")
        seen = []
        for view in client.follow(run.id):
            seen.append(view.state)
            state = RunState.COMPLETED if "paused" in seen else RunState.PAUSED
            control.held[run.id] = view.model_copy(update={"state": state})
    assert seen == ["running", "paused", "completed"]


def test_the_client_raises_what_was_refused(guarded, token, text):
    other = token("admin")["authorization"].removeprefix("Bearer ")
    viewer = token("viewer")["authorization"].removeprefix("Bearer ")
    with served(guarded.app) as url:
        with Client(url, token=other) as boss, Client(url, token=text) as client:
            boss.hold_lease()
            with pytest.raises(LeaseHeldError, match="ada steers"):
                client.submit(WANTED, idempotency_key="k")
            boss.give_lease_back()
            client.submit(WANTED, idempotency_key="k")
        with Client(url, token=viewer) as client, pytest.raises(ForbiddenError):
            client.hold_lease()
        with Client(url, token="x") as client, pytest.raises(LoginNeededError):
            client.devices()
