"""What the log of a play proves: who did what to a row, and what the command could know when it wrote."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from support.chaos.people import Person
from support.chaos.proxy import Event, Gateway
from support.chaos.world import Key

JUST_BEFORE = 6  # requests of ours between an edit and a write that did not look again: the two have crossed


@dataclass
class Evidence:
    gateway: Gateway
    person: Person

    @property
    def log(self) -> list[Event]:
        return self.gateway.log

    def creates(self) -> Iterator[tuple[Event, Key]]:
        """The rows that creates of ours have made, also late and doubled ones."""
        for event in self.log:
            if event.who == "us":
                for key in event.created:
                    yield event, key

    def pending(self) -> list[Event]:
        return self.gateway.pending

    def unclear_writes(self) -> list[Event]:
        """Our writes whose answer does not say what came of them."""
        unclear = ("a reset", "a time-out", "500", "502", "503", "504")
        writes = [event for event in self.log if event.who == "us" and event.method != "GET"]
        return [event for event in writes if event.answer in unclear or event.by_gateway]

    def was_shown(self, key: Key, after: int, before: int) -> bool:
        """Whether an answer between two requests showed a row to the command."""
        return any(key in event.shown and event.answer == "200" for event in self.log[after + 1 : before])

    def came_late(self, key: Key) -> bool:
        return any(key in event.created for event in self.log if event.who == "late")

    def is_part(self, key: Key) -> bool:
        """A row that comes and goes with others: a detected nexset, or code inside a nexset."""
        return key in self.person.world.parts

    def touches(self, key: Key) -> bool:
        return any(touched == key for touched, _ in self.person.touched)

    def given_later(self, key: Key, name: str, index: int) -> bool:
        """Whether another person gave a field another value later."""
        return any(touched == key and name in act.values and act.index > index for touched, act in self.person.touched)

    def deleted_by_others(self, key: Key) -> bool:
        return any(touched == key and act.what == "delete" for touched, act in self.person.touched)

    def fell_with_another(self, key: Key) -> bool:
        """Whether a stranger's row fell with what it had been hung on just before, so that nobody could know of it."""
        since = self.person.strangers.get(key)
        deleted = any(event.method == "DELETE" and event.row == key for event in self.log if event.who == "us")
        return since is not None and not deleted and self.is_race(key, since)

    def is_race(self, key: Key, index: int) -> bool:
        """Whether our first write to a row after another person's act crossed with it: there was no look in between.

        A write that was tried before the act and not answered, and is tried again after it, has crossed as well.
        """
        write = self._write_after(key, index)
        if write is None:
            return False
        if any(self._shows(event, key) for event in self.log[index + 1 : write.index]):
            return False
        tried = [event for event in self.log[:index] if (event.method, event.path) == (write.method, write.path)]
        requests = [event for event in self.log[index + 1 : write.index] if event.who == "us"]
        return len(requests) <= JUST_BEFORE or any(event.run == write.run for event in tried)

    def touched_unseen(self, key: Key | None) -> bool:
        """Whether another person changed a row (any row, when none is given) after our last look at it."""
        for touched, act in self.person.touched:
            if key in (touched, None) and not any(self._shows(event, touched) for event in self.log[act.index + 1 :]):
                return True
        return False

    def _write_after(self, key: Key, index: int) -> Event | None:
        """Our first write after an act that could undo it: to the row, or else any deletion (of what it hangs on)."""
        writes = [event for event in self.log[index + 1 :] if event.who == "us" and event.method in ("PUT", "DELETE")]
        own = [event for event in writes if event.row == key and not event.path.endswith(("activate", "pause"))]
        return next(iter(own or [event for event in writes if event.method == "DELETE"]), None)

    def _shows(self, event: Event, key: Key) -> bool:
        return event.who == "us" and event.answer == "200" and key in event.shown
