"""A person leaves many resources: within the budget of requests, killed anywhere, and twice at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import Exit, Sandbox, at_once, ended_as
from support.access import CHLOE, user


def offboard(sandbox: Sandbox, count: int) -> tuple[list[str], list[int], int]:
    """Many sources on which one person has access, besides a team; the command that takes it."""
    sandbox.control("POST", "bulk", {"count": count})
    numbers = [row["id"] for row in sandbox.snapshot()["sources"] if str(row["name"]).startswith("bulk-")]
    chloe = user(sandbox, CHLOE)
    for number in numbers:
        more = {"org_id": 1, "role": "operator", "expires": None, "created_at": None, "updated_at": None}
        own = [{"type": kind, "id": chloe, **more} for kind in ("USER", "TEAM")]
        sandbox.control("POST", "edit", {"kind": "sources", "id": number, "set": {"rules": own}})
    ids = ",".join(map(str, numbers))
    flags = ["--resource-type", "sources", "--resource-ids", ids, "--accessor-type", "USER", "--accessor-email", CHLOE]
    return ["--operation", "revoke", *flags, "--quiet", "--rps", "1000"], numbers, chloe


def left(sandbox: Sandbox) -> tuple[int, int]:
    """How many sources the person, and the team with the same id, still have."""
    docs = [row for row in sandbox.snapshot()["sources"] if str(row["name"]).startswith("bulk-")]
    types = [rule["type"] for row in docs for rule in row["rules"]]
    return types.count("USER"), types.count("TEAM")


def test_a_person_leaves_150_resources_in_301_requests(sandbox: Sandbox) -> None:
    args, numbers, _ = offboard(sandbox, 150)
    sandbox.clear_journal()
    done = sandbox.run("manage_access.py", *args).ok()
    assert done.data["changed"] == 150
    assert len(sandbox.journal()) <= 301
    assert left(sandbox) == (0, len(numbers))


@pytest.mark.parametrize(
    ("method", "when"), [pytest.param(".*", "before", marks=pytest.mark.soak), ("DELETE", "after")]
)
def test_a_leaving_that_is_killed_at_any_request_is_resumed(
    sandbox: Sandbox, tmp_path: Path, method: str, when: str
) -> None:
    """Before every request, and after every write; after any other answer is the same as before the next request."""
    for nth in range(1, 60):
        sandbox.reset("demo")
        sandbox.state = tmp_path / f"{when}-{nth}"
        args, numbers, _ = offboard(sandbox, 5)
        done = sandbox.run_killed("manage_access.py", *args, nth=nth, when=when, method=method)
        if done.code == Exit.OK:
            break
        done.is_killed()
        sandbox.run_inside("manage_access.py", *args, "--resume").ok()
        assert left(sandbox) == (0, len(numbers)), f"killed {when} {method} {nth}"
    assert nth > (len(numbers) if when == "after" else 3 * len(numbers)), "the kills did not reach every request"
    sandbox.clear_journal()
    again = sandbox.run_inside("manage_access.py", *args).ok()
    assert again.data["outcome"] == "unchanged"
    assert sandbox.writes() == []


def test_two_at_once_end_as_one(sandbox: Sandbox) -> None:
    args, numbers, _ = offboard(sandbox, 30)
    ends = at_once([sandbox.fork("manage_access.py", *args) for _ in range(2)])
    ended_as(ends, [Exit.OK, Exit.OK], [Exit.OK, Exit.ERROR])
    assert left(sandbox) == (0, len(numbers))
