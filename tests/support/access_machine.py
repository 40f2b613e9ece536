"""Access changes under faults, kills, resumes and other people's changes, as a state machine beside a model of sets."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from helpers.api.session import Session
from support import Done, Exit, Sandbox, finish
from support.access import CHLOE, acting_as, entry, plant, rules, user
from support.interference import Killed, killed_at

SOURCES = (123, 456, 789)
ACCESSORS = (("TEAM", 42), ("TEAM", 7), ("ORG", 1))
ORDER = ("collaborator", "operator", "admin", "owner")
Model = dict[int, dict[tuple[str, int], frozenset[str]]]
operation = st.one_of(
    st.tuples(st.just("grant"), st.sampled_from(ACCESSORS), st.sampled_from(ORDER)),
    st.tuples(st.just("revoke"), st.sampled_from(ACCESSORS), st.sampled_from((None, *ORDER))),
    st.tuples(st.just("replace"), st.sampled_from(ACCESSORS), st.sampled_from(ORDER)),
    st.tuples(
        st.sampled_from(["sync", "prune"]),
        st.dictionaries(st.sampled_from(ACCESSORS), st.sampled_from(ORDER), max_size=3),
        st.none(),
    ),
)
trouble = st.one_of(
    st.none(),
    st.tuples(st.just("kill"), st.integers(1, 4), st.booleans()),
    st.tuples(st.just("lost"), st.integers(1, 4), st.sampled_from(["reset", "cut", "html"])),
    st.tuples(st.just("refused"), st.integers(1, 4), st.sampled_from([400, 403])),
)
COUNT = itertools.count()
some_sources = st.sets(st.sampled_from(SOURCES), min_size=1)
BOSS = "boss@example.com"  # an org admin: may change everything without a rule


def expected(model: Model, what: Any, targets: set[int]) -> Model:
    """What the sets are after an operation that succeeds."""
    name, who, role = what
    after = {number: dict(own) for number, own in model.items()}
    for number in targets:
        own = after[number]
        if name == "grant":
            has = max((ORDER.index(r) for r in own.get(who, ())), default=-1)
            if ORDER.index(role) > has:
                own[who] = own.get(who, frozenset()) | {role}
        elif name == "revoke":
            rest = own.pop(who, frozenset()) - ({role} if role else set(ORDER))
            if rest:
                own[who] = rest
        elif name == "replace":
            after[number] = {who: frozenset([role])}
        elif name == "prune":
            after[number] = {key: frozenset([wanted]) for key, wanted in who.items()}
        else:
            for key, wanted in who.items():
                if ORDER.index(wanted) > max((ORDER.index(r) for r in own.get(key, ())), default=-1):
                    own[key] = own.get(key, frozenset()) | {wanted}
    return after


def words(what: Any, targets: set[int], folder: Path, count: int) -> list[str]:
    name, who, role = what
    ids = ",".join(map(str, sorted(targets)))
    if name in ("sync", "prune"):
        file = folder / f"access-{count}.json"
        accessors = [{"type": kind, "id": number, "role": wanted} for (kind, number), wanted in sorted(who.items())]
        resources = [{"type": "sources", "id": number, "accessors": accessors} for number in sorted(targets)]
        file.write_text(json.dumps({"resources": resources}))
        return ["--operation", "sync", "--file", str(file), *(["--prune"] if name == "prune" else [])]
    flags = ["--operation", name, "--resource-type", "sources", "--resource-ids", ids]
    return [*flags, "--accessor-type", who[0], "--accessor-id", str(who[1]), *(["--role", role] if role else [])]


def now(sandbox: Sandbox) -> Model:
    return {number: {key: frozenset(r) for key, r in rules(sandbox, "sources", number).items()} for number in SOURCES}


def locks_out(before: Model, after: Model, what: Any) -> bool:
    """What --yes is for, as far as this model can tell: strong or wide access, replacing, and the last strong one."""
    strong = {"admin", "owner"}
    for number in SOURCES:
        old, new = before[number], after[number]
        if any(key[0] == "ORG" and new[key] != old.get(key) for key in new) and old != new:
            return True
        if any((roles - old.get(key, frozenset())) & strong for key, roles in new.items()):
            return True
        if any(r & strong for r in old.values()) and not any(r & strong for r in new.values()):
            return True
        if what[0] == "replace" and old != new:
            return True
    return False


class Race(NamedTuple):
    """Two commands at once: ``views`` are the sets right before and right after theirs."""

    ours: Any
    theirs: Any
    sources: set[int]
    their_sources: set[int]
    before: Model
    views: list[Model]

    def ends(self, number: int, who: tuple[str, int], *, rolled_back: bool) -> list[frozenset[str]]:
        """Every end that is as if one had come first; if ours is rolled back, as if there had been only theirs.

        Theirs may also have seen what is only there, or only missing, half-way through ours.
        """
        ours_alone = expected(self.before, self.ours, self.sources)
        theirs_alone = expected(self.before, self.theirs, self.their_sources)
        both = expected(theirs_alone, self.ours, self.sources), expected(ours_alone, self.theirs, self.their_sources)
        states = (self.before, ours_alone, theirs_alone, *both, *self.views)
        old, mine, other, first, last, seen, left = (state[number].get(who, frozenset()) for state in states)
        allowed = [first, last]
        if rolled_back:
            allowed.append(other)
            if last == mine or seen == left:  # theirs saw what was rolled back later
                allowed.append(old)
        elif self.ours[0] in ("grant", "sync"):  # beside a stronger role, given since the rules were read
            allowed.append(other | (mine - old))
        hidden = (old & mine) - seen  # taken along by our DELETE, and not granted again yet
        return [*allowed, *(roles | hidden for roles in (*allowed, left) if hidden)]


class AccessMachine(RuleBasedStateMachine):
    """One caller who changes access under faults and kills, and somebody else who changes other rules by hand."""

    sandbox: Sandbox
    folder: Path

    @initialize(by_role=st.booleans())
    def begin(self, by_role: bool) -> None:
        """Whether the server minds roles in a DELETE is not known: both kinds of server are tried."""
        self.sandbox.reset("demo")
        self.sandbox.control("POST", "settings", {"delete_matches_role": by_role})
        self.count = next(COUNT)
        self.sandbox.state = self.folder / f"state-{self.count}"
        self.sandbox.control("POST", "users", {"email": BOSS, "org_admin": True})
        self.model: Model = {number: {} for number in SOURCES}
        self.cut_off: tuple[list[str], Model, bool] | None = None  # a killed command, and what it was on the way to

    @precondition(lambda self: self.cut_off is None)
    @rule(what=operation, sources=some_sources, problem=trouble)
    def change(self, what: Any, sources: set[int], problem: Any) -> None:
        self.count = next(COUNT)
        args, wanted = words(what, sources, self.folder, self.count), expected(self.model, what, sources)
        if locks_out(self.model, wanted, what):
            self.sandbox.run_inside("manage_access.py", *args).fails(Exit.USAGE)
            assert now(self.sandbox) == self.model
        try:
            done = run(self.sandbox, [*args, "--yes"], problem)
        except Killed:
            self.cut_off = [*args, "--yes"], wanted, what[0] in ("replace", "prune")
            return
        done.ends(Exit.OK, Exit.ROLLED_BACK)
        self.model = wanted if done.code == Exit.OK else self.model

    @precondition(lambda self: self.cut_off is None)
    @rule(ours=operation, sources=some_sources, theirs=operation, their_sources=some_sources, nth=st.integers(1, 25))
    def change_while_another_person_changes(
        self, ours: Any, sources: set[int], theirs: Any, their_sources: set[int], nth: int
    ) -> None:
        """Somebody else runs a command of their own, from its beginning to its end, between two requests of ours.

        It ends as if one of the two had come first; if ours is rolled back, as if there had been only theirs.
        """
        before, self.count = self.model, next(COUNT)
        args = words(ours, sources, self.folder, self.count)
        self.count = next(COUNT)
        their_args = words(theirs, their_sources, self.folder, self.count)
        other, views = acting_as(self.sandbox, BOSS), list[Model]()
        other.state = self.folder / f"state-{self.count}"
        another = other.fork("manage_access.py", *their_args, "--yes")

        def they_act() -> Exit:
            views.append(now(self.sandbox))
            end = ended(finish(another))
            views.append(now(self.sandbox))
            return end

        with pytest.MonkeyPatch.context() as patch:
            their_end = before_nth_request(patch, nth, they_act)
            done = self.sandbox.run_inside("manage_access.py", *args, "--yes").ends(
                Exit.OK, Exit.ROLLED_BACK, Exit.LEFT_BEHIND
            )
        their_end = their_end or [they_act()]
        self.model = now(self.sandbox)
        if their_end == [Exit.ROLLED_BACK]:  # not being the owner, they would lock themselves out half-way
            their_sources = set()
        race = Race(ours, theirs, sources, their_sources, before, views)
        named = json.dumps(done.data["left_behind"]) if done.code == Exit.LEFT_BEHIND else ""
        for number, who in itertools.product(SOURCES, (*ACCESSORS, *set().union(*self.model.values()))):
            allowed = race.ends(number, who, rolled_back=done.code != Exit.OK)
            found = self.model[number].get(who, frozenset())
            if f"--resource-id {number} --accessor-type {who[0]} --accessor-id {who[1]} " in named:
                given = views[1][number].get(who, frozenset()) - views[0][number].get(who, frozenset())
                assert given <= found, done.described(f"{who} on {number} has lost some of {given}")
            else:
                assert found in allowed, done.described(
                    f"{who} on {number} has {found}, not one of {allowed}: {before}"
                )

    @precondition(lambda self: self.cut_off is not None)
    @rule()
    def resume(self) -> None:
        assert self.cut_off
        args, self.model, _ = self.cut_off
        self.cut_off = None
        self.sandbox.run_inside("manage_access.py", *args, "--resume").ok()

    @precondition(lambda self: self.cut_off is None or not self.cut_off[2])
    @rule(number=st.sampled_from(SOURCES), role=st.sampled_from(ORDER[:2]))
    def somebody_else_gives_a_person_access(self, number: int, role: str) -> None:
        """By hand, also between a kill and its resume; what nobody named must stay as it is."""
        person = ("USER", user(self.sandbox, CHLOE))
        plant(self.sandbox, "sources", number, entry(*person, role))
        self.model[number][person] = now(self.sandbox)[number][person]
        if self.cut_off:
            self.cut_off[1][number][person] = self.model[number][person]

    @invariant()
    def nobody_has_more_or_less_than_was_said(self) -> None:
        found = now(self.sandbox)
        if self.cut_off is None:
            assert found == self.model
            return
        for number in SOURCES:
            for who, roles in found[number].items():
                before, after = (m[number].get(who, frozenset()) for m in (self.model, self.cut_off[1]))
                assert roles <= before | after, f"{who} has {roles} half-way from {before} to {after}"

    def teardown(self) -> None:
        self.sandbox.faults()


def ended(done: Done) -> Exit:
    return Exit(done.ends(Exit.OK, Exit.ROLLED_BACK).code)


def before_nth_request(patch: pytest.MonkeyPatch, nth: int, do: Callable[[], object]) -> list[object]:
    """Do something once, right before the nth request of a command; the list holds what it gave, if it was done."""
    send, count, done = Session.send, itertools.count(1), list[object]()

    def sending(self: Session, method: str, path: str, params: Any, body: Any) -> Any:
        if next(count) == nth:
            done.append(do())
        return send(self, method, path, params, body)

    patch.setattr(Session, "send", sending)
    return done


def run(sandbox: Sandbox, args: list[str], problem: Any) -> Done:
    """The command under its trouble.

    Raises:
        Killed: it ended in the middle.
    """
    if problem and problem[0] == "kill":
        with killed_at(problem[1], after=problem[2]):
            return sandbox.run_inside("manage_access.py", *args)
    if problem:
        action = {"action": problem[2], "when": "after"}
        if problem[0] == "refused":
            action = {"action": "status", "status": problem[2], "when": "before"}
        sandbox.faults({**action, "method": "PUT|DELETE", "path": ".*accessors", "nth": problem[1]})
    try:
        return sandbox.run_inside("manage_access.py", *args)
    finally:
        sandbox.faults()
