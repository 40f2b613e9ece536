"""Alerts: one when an incident opens, one when it clears; never lost, never repeated, and no secret in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.monitor.alert_text import BLOCKS_MAX, SECTION_MAX, TITLE_MAX, payload
from helpers.monitor.incidents import events, locked_state, mark_reported, update_incidents
from helpers.monitor.request import AlertPolicy
from support import Done, Exit, Sandbox
from support.clocks import VirtualClock
from support.receiver import Receiver
from support.requesting import job_in_this_process


@pytest.fixture
def receiver(clock: VirtualClock) -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.server.shutdown()


def check(sandbox: Sandbox, receiver: Receiver, tmp_path: Path, *args: str) -> Done:
    words = ["--resource-type", "destinations", "--resource-id", "123", "--state", str(tmp_path / "state.json")]
    return sandbox.run_inside("health_check.py", *words, *args, env={"NEXLA_ALERT_WEBHOOK": receiver.url})


def test_a_password_in_netrc_does_not_go_to_the_receiver(
    sandbox: Sandbox, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password hunter22\n")
    netrc.chmod(0o600)
    sandbox.api("PUT", "/data_sinks/123/pause")
    words = ["--resource-type", "destinations", "--resource-id", "123", "--state", str(tmp_path / "state.json")]
    env = {"NEXLA_ALERT_WEBHOOK": receiver.url, "NETRC": str(netrc)}
    sandbox.run_inside("health_check.py", *words, "--open-after", "1", env=env).ends(Exit.FINDINGS)
    assert receiver.authorizations == [None]


def test_an_incident_is_reported_once_and_its_end_once(sandbox: Sandbox, receiver: Receiver, tmp_path: Path) -> None:
    counts = []
    for step in range(9):
        if step in (1, 5):
            sandbox.api("PUT", "/data_sinks/123/" + ("pause" if step == 1 else "activate"))
        check(sandbox, receiver, tmp_path, "--alert-format", "generic").ends(
            Exit.FINDINGS if 1 <= step < 5 else Exit.OK
        )
        counts.append(len(receiver.posts))
    assert counts == [0, 0, 1, 1, 1, 1, 2, 2, 2]
    opened, cleared = (body for body, _ in receiver.posts)
    assert ([row["id"] for row in opened["opened"]], opened["recovered"]) == ([123], [])
    assert ([row["id"] for row in cleared["recovered"]], cleared["opened"]) == ([123], [])
    assert opened["opened"][0]["issues"] == ["it is PAUSED, not ACTIVE"]


def test_what_could_not_be_delivered_is_delivered_later(sandbox: Sandbox, receiver: Receiver, tmp_path: Path) -> None:
    sandbox.api("PUT", "/data_sinks/123/pause")
    receiver.answers = [400]
    lost = check(sandbox, receiver, tmp_path, "--open-after", "1").ends(Exit.FINDINGS)
    assert lost.json["meta"]["alert"]["delivered"] is False
    assert "receiver responded with 400" in lost.json["warnings"][-1]
    receiver.answers = [503, 429]
    late = check(sandbox, receiver, tmp_path, "--open-after", "1")
    assert (late.json["meta"]["alert"]["delivered"], len(receiver.posts)) == (True, 4)
    assert len({key for _, key in receiver.posts}) == 1  # the same event, so the same key
    again = check(sandbox, receiver, tmp_path, "--open-after", "1")
    assert (again.json["meta"]["alert"]["delivered"], len(receiver.posts)) == (None, 4)


def test_an_alert_is_not_sent_on_to_another_place(sandbox: Sandbox, receiver: Receiver, tmp_path: Path) -> None:
    sandbox.api("PUT", "/data_sinks/123/pause")
    receiver.answers = [307]
    done = check(sandbox, receiver, tmp_path, "--open-after", "1")
    assert (done.json["meta"]["alert"]["delivered"], len(receiver.posts)) == (False, 1)
    assert "receiver responded with 307" in done.json["warnings"][-1]


def test_the_state_file_holds_ids_and_times_and_nothing_of_the_resource(
    sandbox: Sandbox, receiver: Receiver, tmp_path: Path
) -> None:
    sandbox.control("POST", "edit", {"kind": "sinks", "id": 123, "set": {"name": "x password=hunter2secret"}})
    sandbox.api("PUT", "/data_sinks/123/pause")
    check(sandbox, receiver, tmp_path, "--open-after", "1")
    state = json.loads((tmp_path / "state.json").read_text())
    (incidents,) = state["accounts"].values()
    assert set(incidents["destinations 123"]) == {"bad", "good", "state", "told", "told_at"}
    assert "hunter2secret" not in str(state)


def test_a_receiver_that_is_away_hides_nothing_and_the_url_is_nowhere(
    sandbox: Sandbox, receiver: Receiver, tmp_path: Path
) -> None:
    sandbox.api("PUT", "/data_sinks/123/pause")
    receiver.server.shutdown()
    receiver.server.server_close()
    done = check(sandbox, receiver, tmp_path, "--open-after", "1", "--verbose").ends(Exit.FINDINGS)
    assert "could not be reached" in done.json["warnings"][-1]
    for text in (done.out, done.err, (tmp_path / "state.json").read_text()):
        assert "T0SECRET" not in text
    shown = sandbox.run_inside(
        "health_check.py", "--all", "--state", str(tmp_path / "s2"), "--alert-webhook", receiver.url
    )
    assert "exposes a secret in the process list" in shown.json["warnings"][0]


def test_no_part_of_the_url_is_shown_wherever_it_comes_from(
    sandbox: Sandbox, receiver: Receiver, tmp_path: Path
) -> None:
    """Somebody has noted in a name where the alerts go."""
    key = "Xq7Kd2Vw9Zt4Lm8Pb3"
    receiver.url += f"/{key}"
    name = f"alerts to {key} and hooks.example/services/T0SECRET/B0SECRET/{key}"
    sandbox.control("POST", "edit", {"kind": "sinks", "id": 123, "set": {"name": name}})
    sandbox.api("PUT", "/data_sinks/123/pause")
    page = tmp_path / "page.html"
    done = check(sandbox, receiver, tmp_path, "--open-after", "1", "--report", str(page), "--verbose")
    done.ends(Exit.FINDINGS)
    assert "alerts to" in done.out
    for text in (done.out, done.err, page.read_text(), json.dumps(receiver.posts)):
        assert key not in text


def test_the_url_may_stand_in_a_file(sandbox: Sandbox, receiver: Receiver, tmp_path: Path) -> None:
    sandbox.api("PUT", "/data_sinks/123/pause")
    file = tmp_path / "webhook"
    file.write_text(receiver.url + "\n")
    args = ["health_check.py", "--resource-type", "flows", "--resource-id", "1230", "--open-after", "1", "--state"]
    loose = sandbox.run_inside(*args, str(tmp_path / "a"), "--alert-webhook-file", str(file))
    assert "chmod 600" in loose.json["warnings"][0]
    file.chmod(0o600)
    assert sandbox.run_inside(*args, str(tmp_path / "b"), "--alert-webhook-file", str(file)).json["warnings"] == []
    assert len(receiver.posts) == 2
    for url in ("http://example.com/x", "ftp://x", "nothing"):
        file.write_text(url)
        sandbox.run_inside(*args, str(tmp_path / "c"), "--alert-webhook-file", str(file)).fails(Exit.CONFIG)
    sandbox.run_inside(*args, str(tmp_path / "c"), "--alert-webhook-file", str(tmp_path / "none")).fails(Exit.CONFIG)


def test_a_file_that_is_no_state_is_left_alone(sandbox: Sandbox, receiver: Receiver, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"precious": 1}')
    done = check(sandbox, receiver, tmp_path).ok()
    assert (tmp_path / "state.json").read_text() == '{"precious": 1}'
    assert "is not a state file" in done.json["warnings"][0]  # and the verdict is there all the same
    assert done.data[0]["verdict"] == "healthy"


def test_a_run_that_finds_the_state_file_locked_sends_nothing(
    sandbox: Sandbox, receiver: Receiver, tmp_path: Path
) -> None:
    sandbox.api("PUT", "/data_sinks/123/pause")
    with locked_state(str(tmp_path / "state.json"), "me"):
        done = check(sandbox, receiver, tmp_path, "--open-after", "1")
    done.ends(Exit.FINDINGS)
    assert len(receiver.posts) == 0
    assert "another run has locked the state file" in done.json["warnings"][-1]


@pytest.mark.soak
def test_three_days_of_cron_every_15_minutes(sandbox: Sandbox, receiver: Receiver, tmp_path: Path) -> None:
    """288 runs on the sandbox's clock: an incident is reported when it opens and when it clears, never else."""
    words = ["--resource-type", "destinations", "--resource-id", "123", "--skip", "freshness,volume,errors,quarantine",
             "--state", str(tmp_path / "state.json"), "--alert-format", "generic", "--remind-hours", "0"]  # fmt: skip
    incidents = [(20, 24), (80, 81), (120, 200), (240, 242)]  # the second is over before it counts
    with job_in_this_process(sandbox, "health_check.py", *words, NEXLA_ALERT_WEBHOOK=receiver.url) as check_once:
        for step in range(3 * 24 * 4):
            for begin, end in incidents:
                if step in (begin, end):
                    sandbox.api("PUT", "/data_sinks/123/" + ("pause" if step == begin else "activate"))
            check_once()
            sandbox.advance(900)
    reported = [("opened" if body["opened"] else "recovered") for body, _ in receiver.posts]
    assert reported == ["opened", "recovered"] * 3
    assert all(not body["still"] for body, _ in receiver.posts)
    assert len({key for _, key in receiver.posts}) == len(receiver.posts)


# -- the policy alone


def row(number: int, good: bool, text: str = "broken") -> dict[str, Any]:
    return {"type": "sources", "id": number, "name": f"s{number}", "verdict": "healthy" if good else "unhealthy",
            "issues": [] if good else [text], "flow": 1, "last_run": None}  # fmt: skip


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 3), st.integers(1, 3))
def test_openings_and_clearings_alternate_and_follow_the_counts(
    rounds: list[bool], open_after: int, clear: int
) -> None:
    policy = AlertPolicy(open_after, clear, 0)
    incidents: dict[str, Any] = {}
    reported, is_open, run = [], False, 0
    for number, good in enumerate(rounds):
        run = run + 1 if number and rounds[number - 1] == good else 1
        incidents = update_incidents(incidents, [row(1, good)], policy)
        due = events(incidents, [row(1, good)], policy, float(number))
        mark_reported(incidents, due, float(number))
        reported += [name for name, rows in due.items() if rows]
        expected = None
        if not is_open and not good and run >= open_after:
            is_open, expected = True, "opened"
        elif is_open and good and run >= clear:
            is_open, expected = False, "recovered"
        assert [name for name, rows in due.items() if rows] == ([expected] if expected else [])
    assert reported == ["opened" if n % 2 == 0 else "recovered" for n in range(len(reported))]


def test_reminders_come_at_most_every_six_hours() -> None:
    policy, incidents, reminded = AlertPolicy(), dict[str, Any](), 0
    for quarter in range(4 * 24):
        now = quarter * 900.0
        incidents = update_incidents(incidents, [row(1, False)], policy)
        due = events(incidents, [row(1, False)], policy, now)
        mark_reported(incidents, due, now)
        reminded += len(due["still"])
    assert reminded == 3


def test_without_a_webhook_nothing_counts_as_delivered(sandbox: Sandbox, receiver: Receiver, tmp_path: Path) -> None:
    sandbox.api("PUT", "/data_sinks/123/pause")
    words = ["--resource-type", "destinations", "--resource-id", "123", "--state", str(tmp_path / "state.json")]
    mute = sandbox.run_inside("health_check.py", *words, "--open-after", "1")
    assert (mute.json["meta"]["alert"]["delivered"], len(receiver.posts)) == (False, 0)
    assert "nobody is alerted" in mute.json["warnings"][0]
    assert check(sandbox, receiver, tmp_path, "--open-after", "1").json["meta"]["alert"]["delivered"] is True
    assert len(receiver.posts) == 1


def test_the_webhook_may_stand_in_the_env_file(sandbox: Sandbox, receiver: Receiver, tmp_path: Path) -> None:
    sandbox.api("PUT", "/data_sinks/123/pause")
    file = tmp_path / "env"
    lines = {"NEXLA_API_URL": sandbox.url, "NEXLA_SERVICE_KEY": sandbox.key, "NEXLA_ALERT_WEBHOOK": receiver.url}
    file.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    file.chmod(0o600)
    words = ["--resource-type", "destinations", "--resource-id", "123", "--open-after", "1", "--env-file", str(file)]
    sandbox.run_inside(
        "health_check.py", *words, "--state", str(tmp_path / "state.json"), env={"NEXLA_SERVICE_KEY": ""}
    ).ends(Exit.FINDINGS)
    assert len(receiver.posts) == 1


def test_two_checks_may_share_a_state_file() -> None:
    policy, incidents, opened = AlertPolicy(), dict[str, Any](), 0
    for _ in range(4):
        for number in (1, 2):
            incidents = update_incidents(incidents, [row(number, False)], policy)
            due = events(incidents, [row(number, False)], policy, 0.0)
            mark_reported(incidents, due, 1.0)
            opened += len(due["opened"])
    assert opened == 2


def test_secrets_and_markup_of_names_reach_no_receiver() -> None:
    bad = row(1, False, "password=hunter22x")
    bad["name"] = "[Sign in](https://evil.example)\n**urgent**"
    events = {"opened": [bad], "still": [], "recovered": []}
    for form in ("slack", "generic", "teams"):
        assert "hunter22x" not in json.dumps(payload(form, events, "host"))
    assert "[Sign in](" not in json.dumps(payload("teams", events, "host"))


def test_what_cannot_be_read_counts_as_bad() -> None:
    unknown = {**row(1, False), "verdict": "unknown"}
    incidents = update_incidents({}, [unknown], AlertPolicy(open_after=1))
    assert events(incidents, [unknown], AlertPolicy(), 0.0)["opened"] == [unknown]


@given(st.lists(st.text(max_size=600), min_size=1, max_size=120))
def test_a_slack_message_keeps_slacks_limits(texts: list[str]) -> None:
    events = {"opened": [row(n, False, text) for n, text in enumerate(texts)], "still": [], "recovered": [row(7, True)]}
    body = payload("slack", events, "host")
    assert len(body["blocks"]) <= BLOCKS_MAX
    assert len(body["blocks"][0]["text"]["text"]) <= TITLE_MAX
    for block in body["blocks"]:
        if block["type"] == "section":
            assert 0 < len(block["text"]["text"]) <= SECTION_MAX
    assert 0 < len(body["text"]) < 4000


def test_text_from_the_api_cannot_call_people_or_forge_links() -> None:
    events = {"opened": [row(1, False, "<!channel> <https://evil.example|click> & more")], "still": [], "recovered": []}
    text = json.dumps(payload("slack", events, "host"))
    assert "<!channel>" not in text
    assert "<https" not in text
    teams = payload("teams", {**events, "opened": [row(n, False, "x" * 900) for n in range(500)]}, "host")
    assert len(json.dumps(teams)) < 28_000
