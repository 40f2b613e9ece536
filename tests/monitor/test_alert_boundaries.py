"""The limits of what an alert may hold, and of how it is delivered."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from helpers.monitor.alert_text import line, payload
from helpers.monitor.alerts import deliver
from support.clocks import VirtualClock

START = len("sources 1 n: ")


def row(length: int) -> dict[str, Any]:
    """A resource whose line has so many characters, if it is not cut."""
    return {"type": "sources", "id": 1, "name": "n", "verdict": "unhealthy", "issues": ["x" * (length - START)]}


def opened(*lengths: int) -> dict[str, Any]:
    return {"opened": [row(length) for length in lengths], "still": [], "recovered": []}


def sections(events: dict[str, Any]) -> list[str]:
    blocks = payload("slack", events, "host")["blocks"]
    return [block["text"]["text"] for block in blocks if block["type"] == "section"]


@pytest.mark.parametrize(("length", "shown", "cut"), [(349, 349, False), (350, 350, False), (351, 350, True)])
def test_a_line_has_350_characters(length: int, shown: int, cut: bool) -> None:
    text = line(row(length))
    assert (len(text), text.endswith("…")) == (shown, cut)


@pytest.mark.parametrize(("last", "lengths"), [(167, [2999]), (168, [3000]), (169, [2829, 171])])
def test_a_section_has_3000_characters(last: int, lengths: list[int]) -> None:
    """The heading of 5, and entries with 3 characters before each line."""
    assert [len(text) for text in sections(opened(*[350] * 8, last))] == lengths


@pytest.mark.parametrize(("parts", "blocks", "shown"), [(47, 49, 47), (48, 50, 48), (49, 50, 47)])
def test_a_message_has_50_blocks(parts: int, blocks: int, shown: int) -> None:
    """Eight lines fill a section; besides these there are two blocks. The last one says what is left out."""
    events = opened(*[350] * (8 * parts))
    assert len(payload("slack", events, "host")["blocks"]) == blocks
    assert sum("xxx" in text for text in sections(events)) == shown


@pytest.mark.parametrize(("length", "shown"), [(3499, 3499), (3500, 3500), (3501, 3500)])
def test_the_plain_text_has_3500_characters(length: int, shown: int) -> None:
    title = len("Nexla health: 10 opened")
    rest = length - title - 10 - 9 * 347  # with a line break before each line
    assert len(payload("slack", opened(*[347] * 9, rest), "host")["text"]) == shown


@pytest.mark.parametrize(("lines", "shown", "noted"), [(59, 59, False), (60, 60, False), (61, 60, True)])
def test_a_teams_message_has_60_lines(lines: int, shown: int, noted: bool) -> None:
    texts = [
        entry["text"] for entry in payload("teams", opened(*[50] * lines), "host")["attachments"][0]["content"]["body"]
    ]
    assert sum("xxx" in text for text in texts) == shown
    assert (len(texts) > 2 + shown) is noted


class Receiver:
    """Answers posts with these statuses; keeps the timeouts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *statuses: int) -> None:
        self.timeouts: list[float] = []
        self.statuses = list(statuses)
        monkeypatch.setattr(requests, "post", self.post)

    def post(self, url: str, *, timeout: float, **options: Any) -> requests.Response:
        self.timeouts.append(timeout)
        answer = requests.Response()
        answer.status_code = self.statuses.pop(0)
        answer.close = lambda: None  # type: ignore[method-assign]
        return answer

    def takes(self) -> bool:
        """Whether an alert is delivered."""
        url = "https://receiver.example/hook"
        return deliver(url, "generic", opened(20), key="k", host="host", report=lambda text: None) is None


@pytest.mark.parametrize(("bad", "delivered", "tries"), [(1, True, 2), (2, True, 3), (3, False, 3)])
def test_an_alert_is_tried_three_times(
    monkeypatch: pytest.MonkeyPatch, clock: VirtualClock, bad: int, delivered: bool, tries: int
) -> None:
    receiver = Receiver(monkeypatch, *[503] * bad, 200, 200)
    assert (receiver.takes(), len(receiver.timeouts)) == (delivered, tries)
    assert clock.slept == [1.0, 2.0][: tries - 1]
    assert set(receiver.timeouts) == {10.0}, "seconds for one answer"


@pytest.mark.parametrize(
    ("status", "delivered", "tries"),
    [(199, False, 1), (200, True, 1), (299, True, 1), (300, False, 1), (428, False, 1), (429, False, 3),
     (430, False, 1), (499, False, 1), (500, False, 3)],
)  # fmt: skip
def test_only_some_answers_are_worth_another_try(
    monkeypatch: pytest.MonkeyPatch, clock: VirtualClock, status: int, delivered: bool, tries: int
) -> None:
    receiver = Receiver(monkeypatch, *[status] * 4)
    assert (receiver.takes(), len(receiver.timeouts)) == (delivered, tries)
