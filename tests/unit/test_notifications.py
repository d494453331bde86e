"""Who is told of what, over which lines, and that nobody ever waits for it."""

import hashlib
import hmac
import json
import re
import ssl
import threading
import time
from datetime import UTC, datetime
from email import message_from_string
from pathlib import Path

import pytest
import yaml
from certificates import contexts
from hook_server import hook_server, until
from mail_server import mail_server
from pydantic import ValidationError

from her2sr_acq.config import resolve
from her2sr_acq.config_notify import MailConfig, NotifyConfig, SecretSource
from her2sr_acq.engine.states import RunState
from her2sr_acq.engine.views import Health, RunView
from her2sr_acq.errors import ConfigError, DeliveryError, ServiceUnavailableError
from her2sr_acq.notifying.mail import Mail
from her2sr_acq.notifying.notice import Notice
from her2sr_acq.notifying.office import Office, outboxes
from her2sr_acq.notifying.post import Outbox
from her2sr_acq.notifying.watch import SILENT_LOOKS, Seen, Watch
from her2sr_acq.notifying.webhook import Webhook, signature
from her2sr_acq.service import __main__ as service

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PAGE = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text()
LOOPBACK = "127.0.0.0/8"
NOTICE = Notice(
    id="n1",
    kind="pause",
    microscope="m",
    run="r1",
    state="paused",
    detail="why",
    at=NOW,
)


def now() -> datetime:
    return NOW


def run(state: RunState, run_id: str = "r1", reason: str = "") -> RunView:
    return RunView(
        id=run_id,
        state=state,
        phase="",
        protocol="p",
        sample="secret-sample",
        operator="secret-operator",
        created_utc="2026-01-02T03:04:05Z",
        frames_requested=1,
        units_total=1,
        reason=reason,
        folder=run_id,
    )


def health(free_gb: float = 100.0, latched: str = "") -> Health:
    return Health(
        version="1",
        pid=1,
        configuration="m",
        simulated=True,
        started_utc="",
        active_run=None,
        latched=latched,
        free_bytes=int(free_gb * 1e9),
    )


def watch(seen: Seen | None = None) -> Watch:
    return Watch(seen or Seen(), low_disk_gb=20.0, now=now)


def kinds(notices) -> list[str]:
    return [notice.kind for notice in notices]


LIFE = [
    pytest.param("queued preparing running", "start", id="start"),
    pytest.param("running paused running", "start pause", id="resumed in silence"),
    pytest.param("running completed", "start finish", id="finish"),
    pytest.param("running completed_with_faults", "start finish", id="with faults"),
    pytest.param("running stopping aborted", "start finish", id="stopped"),
    pytest.param("running faulted", "start fault", id="fault"),
    pytest.param("running interrupted", "start fault", id="crash"),
    pytest.param("running running running", "start", id="told once"),
]


@pytest.mark.parametrize(("states", "told"), LIFE)
def test_a_run_is_told_at_its_turns_and_only_there(states, told):
    eye = watch()
    found = [n for s in states.split() for n in eye.look(health(), [run(RunState(s))])]
    assert kinds(found) == told.split()


def test_what_was_over_before_anybody_watched_is_no_news():
    assert (
        watch().look(health(), [run(RunState.COMPLETED), run(RunState.FAULTED)]) == []
    )


def test_what_happened_while_the_service_was_away_is_told_late_and_once():
    eye = watch()
    eye.look(health(), [run(RunState.RUNNING)])
    after = watch(Seen.model_validate_json(eye.seen.model_dump_json()))
    assert kinds(after.look(health(), [run(RunState.FAULTED)])) == ["fault"]
    again = watch(after.seen)
    assert again.look(health(), [run(RunState.FAULTED)]) == []


def test_low_disk_is_told_once_until_there_is_clearly_more_room():
    eye = watch()
    free = [30.0, 19.0, 18.0, 21.0, 19.0, 23.0, 19.0]
    told = [bool(eye.look(health(gb), [])) for gb in free]
    assert told == [False, True, False, False, False, False, True]


def test_a_latch_is_a_fault_and_told_once():
    eye = watch()
    found = [eye.look(health(latched=why), []) for why in ("", "e-stop", "e-stop")]
    assert [kinds(f) for f in found] == [[], ["fault"], []]
    assert "until rearmed: e-stop" in found[1][0].detail


def test_a_hardware_process_that_stays_silent_is_told_once():
    eye = watch()
    found = [eye.silence("no answer") for _ in range(3 * SILENT_LOOKS)]
    assert [n for n, f in enumerate(found) if f] == [SILENT_LOOKS - 1]


def test_neither_sample_nor_operator_leaves_the_house():
    (notice,) = watch().look(health(), [run(RunState.RUNNING)])
    sent = notice.body("generic") + notice.body("slack") + notice.text.encode()
    assert b"secret" not in sent
    assert b"r1" in sent
    assert sent.count(b"research use only") == 3


def hook_config(port: int, **more) -> NotifyConfig:
    target = {"name": "hook", "url": f"http://localhost:{port}/a?b=c", **more}
    return NotifyConfig.model_validate(
        {
            "webhooks": [target],
            "allow_hosts": ["localhost"],
            "allow_private": [LOOPBACK],
        }
    )


def webhook(config: NotifyConfig, addresses=("127.0.0.1",), **how) -> Webhook:
    return Webhook(
        config.webhooks[0],
        config.private,
        now=now,
        resolver=lambda *_: list(addresses),
        **how,
    )


def test_a_webhook_is_told_and_can_check_who_told_it(monkeypatch):
    monkeypatch.setenv("HOOK_SECRET", "s3")
    with hook_server() as hook:
        webhook(hook_config(hook.port, secret={"env": "HOOK_SECRET"})).send(NOTICE)
    (body,), (headers,) = hook.bodies, hook.headers
    told = json.loads(body)
    assert (told["kind"], told["run"], told["detail"]) == ("pause", "r1", "why")
    assert headers["Host"] == f"localhost:{hook.port}"
    stamp = str(int(NOW.timestamp()))
    expected = hmac.new(b"s3", stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["Her2sr-Signature"] == f"t={stamp},v1={expected}"


def test_slack_gets_what_slack_reads():
    with hook_server() as hook:
        webhook(hook_config(hook.port, format="slack")).send(NOTICE)
    assert "run paused" in json.loads(hook.bodies[0])["text"]


PRIVATE = [
    *("127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254"),
    *("0.0.0.0", "100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "fe80::1"),
    *("fc00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::"),
]


def https_config(allow_private=()) -> NotifyConfig:
    return NotifyConfig.model_validate(
        {
            "webhooks": [{"name": "hook", "url": "https://hooks.example.org/x"}],
            "allow_hosts": ["hooks.example.org"],
            "allow_private": allow_private,
        }
    )


@pytest.mark.parametrize("address", PRIVATE)
@pytest.mark.parametrize("others", [[], ["93.184.215.14"]])
def test_a_name_that_leads_inside_is_refused_for_good(address, others):
    with pytest.raises(DeliveryError, match="private") as refusal:
        webhook(https_config(), [*others, address]).send(NOTICE)
    assert not refusal.value.may_pass


def test_the_address_that_was_checked_is_the_one_that_is_reached():
    """A name server that answers otherwise the second time is never asked again."""
    asked = []

    def rebinding(host, port):
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    with hook_server() as hook:
        config = hook_config(hook.port)
        Webhook(config.webhooks[0], config.private, now=now, resolver=rebinding).send(
            NOTICE
        )
    assert (len(asked), len(hook.bodies)) == (1, 1)


def test_an_address_that_is_dead_is_passed_over_for_the_next():
    with hook_server() as hook:
        webhook(hook_config(hook.port), ["127.0.0.9", "127.0.0.1"]).send(NOTICE)
    assert len(hook.bodies) == 1


def test_a_redirect_is_not_followed():
    with hook_server() as inside, hook_server(answers=[302]) as hook:
        hook.location = f"http://127.0.0.1:{inside.port}/"
        with pytest.raises(DeliveryError, match="302"):
            webhook(hook_config(hook.port)).send(NOTICE)
    assert inside.bodies == []


def test_proxies_of_the_environment_are_not_asked(monkeypatch):
    with hook_server() as proxy, hook_server() as hook:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        webhook(hook_config(hook.port)).send(NOTICE)
    assert (len(proxy.bodies), len(hook.bodies)) == (0, 1)


@pytest.mark.parametrize("how", [{"silent_s": 10.0}, {"drip_s": 0.05}])
def test_a_server_that_never_ends_its_answer_is_left_at_the_deadline(how):
    with hook_server(**how) as hook:
        began = time.monotonic()
        with pytest.raises(DeliveryError) as fault:
            webhook(hook_config(hook.port), deadline_s=0.3).send(NOTICE)
        assert time.monotonic() - began < 2.0
    assert fault.value.may_pass


def test_a_certificate_of_nobody_is_refused():
    with hook_server() as hook:
        config = NotifyConfig.model_validate(
            {
                "webhooks": [{"name": "h", "url": f"https://localhost:{hook.port}/"}],
                "allow_hosts": ["localhost"],
                "allow_private": [LOOPBACK],
            }
        )
        with pytest.raises(DeliveryError, match="does not take"):
            webhook(config, deadline_s=0.5).send(NOTICE)
        context = Webhook(config.webhooks[0], config.private, now=now)._tls
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def https_on(port: int) -> NotifyConfig:
    return NotifyConfig.model_validate(
        {
            "webhooks": [{"name": "h", "url": f"https://localhost:{port}/"}],
            "allow_hosts": ["localhost"],
            "allow_private": [LOOPBACK],
        }
    )


def test_an_encrypted_webhook_is_reached_by_its_name_at_the_address_checked(tmp_path):
    server, client = contexts(tmp_path, "localhost")
    with hook_server(tls=server) as hook:
        webhook(https_on(hook.port), tls=client).send(NOTICE)
    assert json.loads(hook.bodies[0])["id"] == "n1"


def test_a_certificate_of_another_name_is_refused(tmp_path):
    server, client = contexts(tmp_path, "elsewhere.example")
    with hook_server(tls=server) as hook:
        with pytest.raises(DeliveryError, match="CERTIFICATE"):
            webhook(https_on(hook.port), tls=client).send(NOTICE)
        assert hook.bodies == []


WRONG = [
    pytest.param({"url": "https://other.org/"}, "allow_hosts", id="not allowed"),
    pytest.param({"url": "http://localhost/"}, "not encrypted", id="plain"),
    pytest.param({"url": "https://u:p@localhost/"}, "password", id="password in it"),
    pytest.param({"url": "ftp://localhost/"}, "no address", id="no http"),
    pytest.param({"url": "https:///x"}, "no address", id="no host"),
    pytest.param({"url": "https://localhost/\r\nX: y"}, "signs", id="split header"),
    pytest.param({"url": "https://localhost:99999/"}, "ort", id="no port"),
    pytest.param({"name": "a\n"}, "name", id="label"),
    pytest.param({"secret": {"file": "here"}}, "absolute", id="relative secret"),
    pytest.param({"secret": {}}, "either", id="no secret"),
    pytest.param({"kinds": ["sneeze"]}, "kinds", id="no such turn"),
]


@pytest.mark.parametrize(("wrong", "word"), WRONG)
def test_a_wrong_webhook_is_refused_by_the_configuration(wrong, word):
    target = {"name": "hook", "url": "https://localhost/", **wrong}
    with pytest.raises(ValidationError, match=word):
        NotifyConfig.model_validate(
            {"webhooks": [target], "allow_hosts": ["localhost"]}
        )


def test_a_secret_comes_from_a_file_or_a_variable_or_there_is_no_start(tmp_path):
    path = tmp_path / "secret"
    with pytest.raises(ConfigError, match="cannot be read"):
        SecretSource(file=str(path)).read()
    path.write_text("\n")
    with pytest.raises(ConfigError, match="no secret"):
        SecretSource(file=str(path)).read()
    path.write_text("s3\n")
    assert SecretSource(file=str(path)).read() == "s3"
    assert SecretSource(env="S").read({"S": "s4"}) == "s4"
    with pytest.raises(ConfigError, match="variable S"):
        SecretSource(env="S").read({})


def mail_config(port: int, **more) -> MailConfig:
    plain = {
        "name": "mail",
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "sender": "scope@lab.example",
        "to": ["one@lab.example", "two@lab.example"],
    }
    return MailConfig.model_validate(plain | more)


def test_a_letter_says_what_happened():
    with mail_server() as box:
        Mail(mail_config(box.port), now=now).send(NOTICE)
    letter = message_from_string(box.letters[0])
    assert letter["subject"] == "[her2sr] m: run paused: r1"
    assert letter["auto-submitted"] == "auto-generated"
    assert "why" in letter.get_payload()
    assert "research use only" in letter.get_payload()
    assert box.recipients == ["one@lab.example", "two@lab.example"]


@pytest.mark.parametrize(("code", "may_pass"), [(550, False), (450, True)])
def test_whether_it_is_sent_again_is_as_the_server_says(code, may_pass):
    everyone = {"one@lab.example", "two@lab.example"}
    with (
        mail_server(refuses=everyone, code=code) as box,
        pytest.raises(DeliveryError) as fault,
    ):
        Mail(mail_config(box.port), now=now).send(NOTICE)
    assert fault.value.may_pass is may_pass


def test_nobody_gets_a_letter_twice_because_another_was_refused():
    with (
        mail_server(refuses={"two@lab.example"}) as box,
        pytest.raises(DeliveryError, match="1 of 2") as fault,
    ):
        Mail(mail_config(box.port), now=now).send(NOTICE)
    assert not fault.value.may_pass
    assert len(box.letters) == 1


def test_a_server_without_encryption_is_told_nothing_that_asks_for_it():
    with mail_server() as box, pytest.raises(DeliveryError) as fault:
        Mail(mail_config(box.port, security="starttls"), now=now).send(NOTICE)
    assert not fault.value.may_pass
    assert box.letters == []


@pytest.mark.parametrize("way", ["tls", "starttls"])
@pytest.mark.parametrize(("name", "is_taken"), [("localhost", True), ("other", False)])
def test_letters_go_over_lines_whose_other_end_is_known(tmp_path, way, name, is_taken):
    server, client = contexts(tmp_path, name)
    with mail_server(tls=server, is_tls_from_the_start=way == "tls") as box:
        mail = Mail(
            mail_config(box.port, host="localhost", security=way), now=now, tls=client
        )
        if is_taken:
            mail.send(NOTICE)
        else:
            with pytest.raises(DeliveryError, match="CERTIFICATE"):
                mail.send(NOTICE)
    assert len(box.letters) == int(is_taken)


def test_a_server_that_greets_without_end_is_left_at_the_deadline():
    with mail_server(drip_s=0.05) as box:
        began = time.monotonic()
        with pytest.raises(DeliveryError):
            Mail(mail_config(box.port), now=now, deadline_s=0.3).send(NOTICE)
        assert time.monotonic() - began < 2.0


def test_letters_in_the_open_go_to_this_computer_alone():
    with pytest.raises(ValidationError, match="use tls"):
        mail_config(25, host="mail.lab.example")


class Slow:
    """A target that takes nothing until it is let go."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.taken: list[str] = []

    def send(self, notice: Notice) -> None:
        self.free.wait(10.0)
        self.taken.append(notice.id)


def test_a_target_that_hangs_costs_whoever_offers_nothing_and_is_counted():
    slow = Slow()
    with Outbox("slow", slow, kinds=("pause",), waiting=4) as box:
        box.offer(NOTICE)
        until(lambda: box.tally().waiting == 0)
        began = time.thread_time()
        for _ in range(1000):
            box.offer(NOTICE)
        assert time.thread_time() - began < 0.5
        tally = box.tally()
        assert (tally.waiting, tally.dropped) == (4, 996)
        slow.free.set()
        until(lambda: box.tally().sent == 5)


class Failing:
    """Fails so often, then takes."""

    def __init__(self, times: int, *, may_pass: bool = True) -> None:
        self.left, self.may_pass, self.tried = times, may_pass, 0

    def send(self, _: Notice) -> None:
        self.tried += 1
        self.left -= 1
        if self.left >= 0:
            raise DeliveryError("no", may_pass=self.may_pass)


RETRIES = [
    pytest.param(Failing(2), 3, [2.0, 10.0], "sent", id="comes back"),
    pytest.param(Failing(9), 4, [2.0, 10.0, 60.0], "failed", id="stays away"),
    pytest.param(Failing(1, may_pass=False), 1, [], "failed", id="says never"),
]


@pytest.mark.parametrize(("courier", "tried", "pauses", "end"), RETRIES)
def test_a_target_that_is_down_is_tried_again_after_longer_and_longer(
    courier, tried, pauses, end
):
    waited = []

    def wait(_, seconds):
        waited.append(seconds)
        return False

    with Outbox("target", courier, kinds=("pause",), wait=wait) as box:
        box.offer(NOTICE)
        until(lambda: getattr(box.tally(), end) == 1)
    assert (courier.tried, waited) == (tried, pauses)


def test_a_target_is_told_only_what_it_asked_for():
    courier = Failing(0)
    with Outbox("target", courier, kinds=("finish",)) as box:
        box.offer(NOTICE)
        box.offer(NOTICE.model_copy(update={"kind": "finish"}))
        until(lambda: box.tally().sent == 1)
    assert courier.tried == 1


class Acq:
    """A hardware process with one run, or none that answers."""

    def __init__(self) -> None:
        self.state: RunState | None = RunState.RUNNING

    def health(self) -> Health:
        if self.state is None:
            raise ServiceUnavailableError("the hardware process does not answer")
        return health()

    def runs(self, *, limit: int) -> list[RunView]:
        assert self.state is not None
        return [run(self.state)]


def test_an_office_tells_webhook_and_mail_and_tells_nothing_twice(tmp_path):
    acq = Acq()
    kept = tmp_path / "notified.json"
    with hook_server() as hook, mail_server() as box:
        config = hook_config(hook.port).model_copy(
            update={"mail": (mail_config(box.port),)}
        )

        def office() -> Office:
            targets = outboxes(config, now=now)
            return Office(acq, targets, kept, low_disk_gb=20.0, now=now)

        with office() as first:
            first.look()
            first.look()
            until(lambda: [t.sent for t in first.tallies()] == [1, 1])
        acq.state = RunState.COMPLETED
        with office() as second:
            second.look()
            until(lambda: [t.sent for t in second.tallies()] == [1, 1])
    assert [json.loads(body)["kind"] for body in hook.bodies] == ["start", "finish"]
    assert len(box.letters) == 2


def test_what_was_told_is_read_with_care(tmp_path):
    kept = tmp_path / "notified.json"
    kept.write_bytes(b"\xff{")
    office = Office(Acq(), [], kept, low_disk_gb=1.0, now=now)
    office.look()
    assert Seen.model_validate_json(kept.read_text()).states == {"r1": RunState.RUNNING}


def test_without_a_target_nothing_is_started(tmp_path):
    before = threading.active_count()
    with Office(Acq(), [], tmp_path / "n", low_disk_gb=1.0, now=now):
        assert threading.active_count() == before


def test_the_service_does_not_start_without_a_secret_that_is_asked_for(
    tmp_path, monkeypatch, capsys
):
    config = yaml.safe_load(resolve("simulated").read_text())
    config["notify"] = hook_config(1, secret={"env": "NO_SUCH"}).model_dump(mode="json")
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(config))
    (tmp_path / "data").mkdir()
    where = ["--config", str(path), "--data", str(tmp_path / "data")]
    monkeypatch.setattr("sys.argv", ["service", *where, "--runtime", str(tmp_path)])
    assert service.main() == 2
    assert capsys.readouterr().err == (
        "error: there is no secret in the variable NO_SUCH; put one there\n"
    )


def test_the_snippet_of_the_page_knows_who_told_it():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)
    header = signature("s3", 1000, b"{}")
    assert names["is_genuine"](b"s3", header, b"{}", 1010.0)
    assert not names["is_genuine"](b"s4", header, b"{}", 1010.0)
    assert not names["is_genuine"](b"s3", header, b"{ }", 1010.0)
    assert not names["is_genuine"](b"s3", header, b"{}", 9999.0)


def test_the_configuration_of_the_page_is_one():
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    config = NotifyConfig.model_validate(yaml.safe_load(text)["notify"])
    assert [t.name for t in (*config.webhooks, *config.mail)] == [
        "lab",
        "chat",
        "people",
    ]
