"""What goes wrong in one play: drawn from a seed, and described in plain words."""

from __future__ import annotations

import random
from dataclasses import dataclass, fields, replace
from typing import Any

READ_TIMEOUT = 30.0  # seconds after which the scripts give up waiting for a response (design.md section 2)
LATE_CREATE_SECONDS = 90.0  # what an unanswered create may take, by the contract; not imported, for this is the judge
LATEST_EFFECT = 60.0  # seconds after the failure that a client saw
LOOKED_FOR = 12.0  # a create whose answer was a 502 or 503 is looked for no longer than 15 s
EITHER = ("taken", "lost")
HTML = "<html><head><title>{status}</title></head><body><center><h1>{status}</h1></center><hr>gateway</body></html>"

ON = {
    "any": ("GET", "POST", "PUT", "DELETE"),
    "GET": ("GET",),
    "write": ("POST", "PUT", "DELETE"),
    "POST": ("POST",),
    "PUT": ("PUT",),
    "DELETE": ("DELETE",),
}


@dataclass(frozen=True)
class Trouble:
    """What happens to the ``nth`` request of those that ``on`` names, and to the next ``times - 1`` of them.

    Attributes:
        kind: slow, silent (no response: the client's time-out), reset, answer, twice.
        effect: taken, lost, or late: ``late`` seconds after the client saw its failure. Only a create is ever late.
        seconds: the delay of the response.
        status: of an answer; ``retry_after`` is its header, ``html`` the form of its body.
    """

    on: str
    nth: int
    kind: str
    effect: str = "lost"
    times: int = 1
    seconds: float = 0.0
    late: float = 0.0
    status: int = 0
    html: bool = False
    retry_after: str = ""

    def words(self) -> str:
        last = f" to {self.nth + self.times - 1}." if self.times > 1 else ""
        which = f"{self.on} request {self.nth}.{last}"
        effect = {"taken": "it takes effect", "lost": "it has no effect", "late": f"a create takes effect {self.late:g}"
                  " s later, anything else has no effect"}[self.effect]  # fmt: skip
        form = "HTML" if self.html else "empty"
        what = {
            "slow": f"is answered after {self.seconds:g} s (the client gives up at {READ_TIMEOUT:g} s); {effect}",
            "silent": f"is never answered; {effect}",
            "reset": f"is cut by a reset; {effect}",
            "answer": f"is answered {self.status} ({form}) after {self.seconds:g} s; {effect}",
            "twice": "is delivered twice by a gateway",
        }[self.kind]
        return f"{which} {what}" + (f"; Retry-After: {self.retry_after}" if self.retry_after else "")


@dataclass(frozen=True)
class Edit:
    """Another person's act, right before the ``nth`` request of those that ``on`` names."""

    on: str
    nth: int
    what: str
    pick: int
    as_owner: bool = False  # with the account that the scripts use, as a colleague at the screen does

    def words(self) -> str:
        who = "somebody with our own account" if self.as_owner else "another person"
        return f"before {self.on} request {self.nth}. {who} does: {self.what} (choice {self.pick})"


@dataclass(frozen=True)
class Traits:
    """What the server is like, all the time."""

    list_lag: float = 0.0  # seconds until lists show a new row
    delete_lag: float = 0.0  # seconds for which lists show a deleted row
    nfc: bool = False
    disorder: int = 0  # so many lists come in an order of their own; then the order rests
    cap: int = 0
    no_total: bool = False
    bare_rows: bool = False  # list rows without tags
    no_tags: bool = False

    def words(self) -> list[str]:
        said = {
            "list_lag": f"lists show a new row after {self.list_lag:g} s, its item at once",
            "delete_lag": f"lists show a deleted row for {self.delete_lag:g} s",
            "nfc": "the server stores names in NFC, and the config has them in NFD",
            "disorder": f"the first {self.disorder} pages of lists are each in another order",
            "cap": f"a page has {self.cap} rows at most",
            "no_total": "lists have no X-Total-Count",
            "bare_rows": "list rows have no tags, items have",
            "no_tags": "the server drops tags",
        }
        return [said[field.name] for field in fields(self) if getattr(self, field.name)]


@dataclass(frozen=True)
class Schedule:
    seed: int
    command: str
    troubles: tuple[Trouble, ...] = ()
    edits: tuple[Edit, ...] = ()
    traits: Traits = Traits()

    def words(self) -> str:
        parts = [*self.traits.words(), *(t.words() for t in self.troubles), *(e.words() for e in self.edits)]
        return "\n".join([f"seed {self.seed}, {self.command}:", *(f"  - {part}" for part in parts or ["nothing"])])

    def smaller(self) -> list[Schedule]:
        """This schedule with one thing less, in every way."""
        less = [replace(self, troubles=_without(self.troubles, at)) for at in range(len(self.troubles))]
        less += [replace(self, edits=_without(self.edits, at)) for at in range(len(self.edits))]
        for field in fields(Traits):
            if getattr(self.traits, field.name):
                less.append(replace(self, traits=replace(self.traits, **{field.name: field.default})))
        for at, trouble in enumerate(self.troubles):
            if trouble.times > 1:
                once = (*self.troubles[:at], replace(trouble, times=1), *self.troubles[at + 1 :])
                less.append(replace(self, troubles=once))
        return less


def _without(items: tuple[Any, ...], at: int) -> tuple[Any, ...]:
    return (*items[:at], *items[at + 1 :])


Reach = tuple[int, int, int, int]  # how many GET, POST, PUT and DELETE requests a command sends, undoing included


def draw(seed: int, command: str, edits: tuple[str, ...], reach: Reach) -> Schedule:
    """The schedule of a seed. ``edits`` are the acts of another person that make sense beside the command."""
    pick = random.Random(f"{command}-{seed}")
    troubles = tuple(_trouble(pick, reach) for _ in range(pick.choice([0, 1, 1, 2, 2, 3, 4])))
    others = tuple(_edit(pick, edits, reach) for _ in range(pick.choice([0, 0, 1, 1, 2])))
    return Schedule(seed, command, *_fair(troubles, others, _traits(pick)))


def _place(pick: random.Random, reach: Reach, names: list[str]) -> tuple[str, int]:
    """Which request is hit: a kind of request that the command sends, and its number."""
    gets, posts, puts, deletes = reach
    writes = posts + puts + deletes
    counts = {"any": gets + writes, "GET": gets, "write": writes, "POST": posts, "PUT": puts, "DELETE": deletes}
    on = pick.choice([name for name in names if counts[name]])
    return on, pick.randint(1, counts[on] + 1)


def _trouble(pick: random.Random, reach: Reach) -> Trouble:
    on, nth = _place(pick, reach, ["any", "GET", "write", "write", "POST", "POST", "POST", "PUT", "DELETE"])
    times = pick.choice([1, 1, 1, 1, 2, 5])
    effect = pick.choice(["taken", "lost", "late"])
    late = round(pick.uniform(0.5, LATEST_EFFECT), 1)
    kind = pick.choice(["slow", "silent", "reset", "reset", "504", "504", "502", "503", "404", "400", "429",
                        "500", "twice"])  # fmt: skip
    seconds = round(pick.choice([0.1, 1.0, pick.uniform(1, 29)]), 1)
    html = pick.random() < 0.5
    if kind in ("silent", "reset"):
        return Trouble(on, nth, kind, effect, times, late=late)
    if kind == "slow":
        return Trouble(on, nth, kind, "taken", times, seconds=round(pick.uniform(0.1, 60.0), 1))
    if kind == "twice":
        return Trouble(on, nth, kind, "taken", times)
    status = int(kind)
    if status == 429:
        after = pick.choice(["1", "7", "2.5", "0", "date"])
        return Trouble(on, nth, "answer", "lost", times, status=429, retry_after=after)
    if status in (400, 404):
        return Trouble(on, nth, "answer", "lost", times, status=status, html=status == 404)
    if status == 504:
        return Trouble(on, nth, "answer", effect, times, seconds, late, 504, html)
    effect = pick.choice(EITHER)
    return Trouble(on, nth, "answer", effect, times, min(seconds, LOOKED_FOR), 0.0, status, html and status != 500)


def _edit(pick: random.Random, edits: tuple[str, ...], reach: Reach) -> Edit:
    on, nth = _place(pick, reach, ["any", "any", "write", "POST"])
    return Edit(on, nth, pick.choice(edits), pick.randint(0, 99), pick.random() < 0.4)


def _traits(pick: random.Random) -> Traits:
    def often(value: Any, share: float = 0.25) -> Any:
        return value if pick.random() < share else type(value)()

    return Traits(
        list_lag=often(round(pick.uniform(1.0, 25.0), 1)),
        delete_lag=often(round(pick.uniform(0.5, 6.0), 1), 0.15),
        nfc=often(True, 0.15),
        disorder=often(pick.randint(1, 4), 0.2),
        cap=often(pick.randint(1, 3), 0.2),
        no_total=often(True, 0.2),
        bare_rows=often(True, 0.2),
        no_tags=often(True, 0.15),
    )


def _fair(
    troubles: tuple[Trouble, ...], edits: tuple[Edit, ...], traits: Traits
) -> tuple[tuple[Trouble, ...], tuple[Edit, ...], Traits]:
    """Nothing that no client could know of in the time that the contract gives it.

    A row that a gateway made twice, or whose create was answered with a 500, 502 or 503, is in the lists when the
    client looks; and one that takes effect late is there before ``LATE_CREATE_SECONDS`` are over.
    """
    kinds = {t.kind for t in troubles}
    short = any(t.kind == "answer" and t.status in (500, 502, 503) and t.effect == "taken" for t in troubles)
    lag = 0.0 if "twice" in kinds else min(traits.list_lag, LOOKED_FOR - 2.0) if short else traits.list_lag
    latest = LATE_CREATE_SECONDS - 15.0 - lag
    troubles = tuple(replace(t, late=min(t.late, latest)) for t in troubles)
    return troubles, edits, replace(traits, list_lag=round(lag, 1))
