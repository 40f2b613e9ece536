"""The judge: what the contract (design.md sections 2 and 4) promises, held against what is true on the server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from helpers.core.errors import Exit
from support import Done
from support.chaos.evidence import Evidence
from support.chaos.lists import nfc
from support.chaos.people import ATTACHED, Touched
from support.chaos.scenarios import Scenario, State
from support.chaos.schedules import LATE_CREATE_SECONDS, Traits
from support.chaos.world import Key

NOTHING_WRITTEN = (Exit.UPSTREAM, Exit.THROTTLED, Exit.TIMEOUT)
LISTS_WHAT_IS_LEFT = (Exit.LEFT_BEHIND, Exit.UNKNOWN_OUTCOME)
OWN_PURPOSE = ("activate", "pause", "delete")  # acts on what the commands are there to change themselves


@dataclass
class Verdicts:
    """What was found wrong, as ``class: text``."""

    found: list[str] = field(default_factory=list)

    def add(self, rule: str, text: str) -> None:
        line = f"{rule}: {text}"
        if line not in self.found:
            self.found.append(line)


@dataclass
class Judge:
    """Judges one play, run by run.

    Attributes:
        initial: the state before the first run.
        ended: how the runs have ended so far.
    """

    scenario: Scenario
    evidence: Evidence
    traits: Traits
    initial: State
    verdicts: Verdicts = field(default_factory=Verdicts)
    ended: list[Done] = field(default_factory=list)

    @property
    def _touched(self) -> list[tuple[Key, Touched]]:
        return self.evidence.person.touched

    @property
    def _ambiguous(self) -> bool:
        """Whether nothing but a person can tell which row is whose: two of one name, and no marks."""
        return self.traits.no_tags and any(len(event.created) > 1 for event in self.evidence.log)

    def after_run(self, done: Done, start: State, now: State) -> None:
        """Judge a run that began in ``start`` and ended in ``now``."""
        self.ended.append(done)
        self._form(done)
        self._twice(done, now)
        self._others(now)
        self._creates_too_soon()
        code = done.code
        if code == Exit.OK:
            self._complete(now)
        elif code == Exit.ROLLED_BACK:
            self._undone(start, now)
        elif code in LISTS_WHAT_IS_LEFT:
            self._listed(done, now)
        elif code in NOTHING_WRITTEN:
            self._untouched(done, start, now)
        else:
            self._named(done, now)

    def at_the_end(self, now: State) -> None:
        """Judge what there is when everything that was under way has happened."""
        last = self.ended[-1]
        self._twice(last, now)
        self._others(now)
        if last.code == Exit.ROLLED_BACK and (left := self._left(now)):
            self.verdicts.add("leftover", f"exit 9, and later there are {left}")
        if last.code == Exit.OK:
            self._complete(now)
        elif not self._touched and not self.evidence.person.strangers and not self._ambiguous:
            error = last.error["message"] if "{" in last.err else ""
            self.verdicts.add("never settles", f"the last undisturbed run ends with {last.code}: {error}")

    def _form(self, done: Done) -> None:
        """One JSON document or nothing on standard output; one error object for a failure, none for a success."""
        say = self.verdicts.add
        if done.code not in list(Exit):
            say("form", f"exit {done.code} is not documented")
        try:
            if done.out.strip() or done.code == Exit.OK:
                assert set(done.json) >= {"ok", "command", "data", "meta", "warnings"}, "keys are missing"
            errors = done._errors()
        except (AssertionError, ValueError, KeyError) as error:
            say("form", f"unreadable output: {str(error)[:300]}")
            return
        if len(errors) != int(done.code != Exit.OK):
            say("form", f"{len(errors)} error objects with exit {done.code}")
        elif errors and errors[0]["code"] != done.code:
            say("form", f"the error object says {errors[0]['code']}, the process {done.code}")
        if "Traceback" in done.err:
            say("form", "a traceback")

    def _twice(self, done: Done, now: State) -> None:
        """No create has two rows left, unless every one too many is named."""
        groups: dict[tuple[str, str], list[Key]] = {}
        for event, key in self.evidence.creates():
            if key in now:
                groups.setdefault((key[0], nfc(event.body["name"])), []).append(key)
        for (kind, name), keys in groups.items():
            said = [key for key in keys if _names(done, key)]
            honest = done.code in LISTS_WHAT_IS_LEFT and len(said) >= len(keys) - 1
            could_look = done.code in (Exit.OK, Exit.ROLLED_BACK, *LISTS_WHAT_IS_LEFT)
            if len(keys) > 1 and could_look and not honest:
                ids = [number for _, number in keys]
                self.verdicts.add("twice", f"exit {done.code}, and {kind} {name!r} is there as {ids}")

    def _others(self, now: State) -> None:
        self._strangers(now)
        for key, touch in self._touched:
            if key not in now:
                self._deleted(key, touch)
                continue
            for name, value in touch.values.items():
                if self.evidence.given_later(key, name, touch.index) or name == "status":
                    continue
                found = _value(now[key], name)
                shown = self._shown(key, name.split(".")[0])
                if found != value and not shown and not self.evidence.is_race(key, touch.index):
                    text = f"{key}: {name} was {value!r} by another person, now {found!r}"
                    self.verdicts.add("others' edit lost", text)

    def _deleted(self, key: Key, touch: Touched) -> None:
        """A row that somebody else has edited is theirs to lose, unless deleting it is the command's purpose."""
        if touch.what in OWN_PURPOSE or key in self.scenario.deletes or self.evidence.deleted_by_others(key):
            return
        if not self.evidence.is_race(key, touch.index):
            self.verdicts.add("others' row deleted", f"{key} had been changed by another person ({touch.what})")

    def _strangers(self, now: State) -> None:
        ours = {key for _, key in self.evidence.creates()} | set(self.scenario.rows)
        known = {key: row for key, row in self.initial.items() if key not in ours and not self.evidence.is_part(key)}
        for key, row in {**known, **self.evidence.person.made}.items():
            if self.evidence.touches(key):
                continue
            if key not in now:
                if not self.evidence.deleted_by_others(key) and not self.evidence.fell_with_another(key):
                    self.verdicts.add("stranger deleted", f"{key} {row['name']!r} is gone")
                continue
            changed = [name for name in row if now[key][name] != row[name]]
            if row["name"] == ATTACHED and self.scenario.script == "operate_flow.py":
                changed = [name for name in changed if name != "status"]  # it is a member of the flow
            if changed and not all(self._shown(key, name) for name in changed):
                text = f"{key} {row['name']!r}: {changed} changed to {[now[key][name] for name in changed]}"
                self.verdicts.add("stranger edited", text)

    def _shown(self, key: Key, name: str) -> bool:
        """Whether a run that ended well has shown this change in its plan."""
        for done in self.ended:
            steps = _steps(done) if done.code == Exit.OK and done.out.strip() else ()
            for step in steps:
                changed = {change.split(".")[0] for change in step.get("changes") or {}}
                if step.get("id") == key[1] and (name in changed or step["action"] == "attach"):
                    return True
        return self.scenario.replaces and name == "rules"

    def _creates_too_soon(self) -> None:
        creates = [event for event in self.evidence.log if event.who == "us" and event.is_create]
        for at, first in enumerate(creates):
            if first.answer not in ("a reset", "a time-out", "504"):
                continue
            for second in creates[at + 1 :]:
                same = (first.path, nfc(first.body.get("name"))) == (second.path, nfc(second.body.get("name")))
                known = any(self.evidence.was_shown(key, first.index, second.index) for key in first.created)
                waited = second.at - first.seen_at
                if same and not known and waited < LATE_CREATE_SECONDS:
                    text = (
                        f"request {second.index} repeats create {first.index} {waited:.1f} s after its {first.answer}"
                    )
                    self.verdicts.add("create repeated too soon", text)

    def _complete(self, now: State) -> None:
        late = [event.index for event in self.evidence.pending()]
        if late:
            self.verdicts.add("false success", f"exit 0 while the creates {late} may still take effect")
        for key, text in self.scenario.complete(now):
            rests = self.scenario.lets_rest and any(k == key and act.what == "pause" for k, act in self._touched)
            if not rests and not self.evidence.touched_unseen(key):
                self.verdicts.add("false success", f"exit 0, and {text}")

    def _undone(self, start: State, now: State) -> None:
        if left := self._left(now):
            self.verdicts.add("leftover", f"exit 9, and there are {left}")
        if late := [event.index for event in self.evidence.pending()]:
            self.verdicts.add("leftover", f"exit 9 while the creates {late} may still take effect")
        for key, what in self._differences(self.initial, now):
            if (key, what) in self._differences(start, now):
                self.verdicts.add("not undone", f"exit 9, and {key} differs: {what}")

    def _untouched(self, done: Done, start: State, now: State) -> None:
        for key, what in self._differences(start, now):
            self.verdicts.add("written", f"exit {done.code}, and {key} differs: {what}")
        if left := [key for key in self._left(now) if key not in start and not self.evidence.came_late(key)]:
            self.verdicts.add("written", f"exit {done.code}, and there are {left}")

    def _listed(self, done: Done, now: State) -> None:
        if unnamed := [key for key in self._left(now) if not _names(done, key) and not self._names_step(done, key)]:
            self.verdicts.add("leftover unnamed", f"exit {done.code} does not name {unnamed}")
        ids = {number for _, number in now}
        stale = [row for row in _left_rows(done) if (row.get("made") or row.get("created")) and row.get("id")
                 and row["id"] not in ids]  # fmt: skip
        if stale and not self.traits.delete_lag and not self._touched:
            self.verdicts.add("leftover that is none", f"exit {done.code} lists {stale}, which is gone")
        if done.code == Exit.UNKNOWN_OUTCOME and not self.evidence.unclear_writes():
            self.verdicts.add("unknown without reason", "exit 13, though every write was answered")

    def _named(self, done: Done, now: State) -> None:
        unnamed = [key for event, key in self.evidence.creates() if event.run == len(self.ended) and key in now
                   and not _names(done, key)]  # fmt: skip
        if unnamed:
            self.verdicts.add("leftover unnamed", f"exit {done.code} does not name {unnamed}")

    def _left(self, now: State) -> list[Key]:
        """The rows that the command created and that are there."""
        return [key for _, key in self.evidence.creates() if key in now]

    def _names_step(self, done: Done, key: Key) -> bool:
        """Whether a row whose create was never answered is listed by its name."""
        name = next(nfc(event.body["name"]) for event, made in self.evidence.creates() if made == key)
        text = nfc(done.out + done.err)
        kind = {"sources": "source", "nexsets": "nexset", "sinks": "destination", "code": "transform"}[key[0]]
        return name in text or any(row["step"].startswith(kind) for row in _left_rows(done))

    def _differences(self, before: State, now: State) -> list[tuple[Key, str]]:
        """What the command changed and others did not. Rows that it created are not among them."""
        made = {key for _, key in self.evidence.creates()}
        found: list[tuple[Key, str]] = []
        for key, row in before.items():
            if key in made or self.evidence.is_part(key) or self.evidence.touches(key):
                continue
            if key not in now:
                found.append((key, "it is gone"))
                continue
            found += [
                (key, f"{name}: {row[name]!r} → {now[key][name]!r}") for name in row if row[name] != now[key][name]
            ]
        return found


def _names(done: Done, key: Key) -> bool:
    return re.search(rf"\b{key[1]}\b", done.out + done.err) is not None


def _steps(done: Done) -> Iterator[dict[str, Any]]:
    try:
        yield from done.data.get("steps", [])
    except (AssertionError, AttributeError, KeyError):
        return


def _left_rows(done: Done) -> list[dict[str, Any]]:
    try:
        data = done.data
    except (AssertionError, KeyError):
        return []
    return [*data.get("left_behind", []), *data.get("kept", [])]


def _value(row: dict[str, Any], name: str) -> Any:
    for part in name.split(".", 1):
        row = (row or {}).get(part)  # type: ignore[assignment]
    return row
