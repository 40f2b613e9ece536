"""Transforms to attach, and a nexset with personal data to attach them to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from helpers.transforms.code import Code, Trust
from support import ROOT, Done, Sandbox

DEMANDS = ["--must-not-contain", "ssn", "--must-mask", "email,phone", "--must-keep", "customer_id"]


RECORDS = [
    {"customer_id": n, "email": f"user{n}@example.com", "ssn": f"123-45-67{n:02d}",
     "contact": {"phone": f"+1-555-01{n:02d}"}}
    for n in range(1, 13)
]  # fmt: skip


GOOD = """
def transform(input, metadata, args):
    output = {key: value for key, value in input.items() if key != "ssn"}
    output["email"] = output["email"][0] + "***"
    output["contact"] = {"phone": "***"}
    return output
"""


def manage(sandbox: Sandbox, operation: str, *args: str) -> Done:
    return sandbox.run_inside("manage_transforms.py", "--operation", operation, *args)


def own_code(kind: str, operations: tuple[Any, ...] = (), script: str = "") -> Code:
    """Code as from a file that the user passed: it may run here."""
    return Code(kind, operations, script, trust=Trust.OWN)


def script(tmp_path: Path, text: str, name: str = "transform.py") -> str:
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def attach(sandbox: Sandbox, people: int, file: str, *more: str) -> Done:
    return manage(
        sandbox, "attach", "--file", file, "--name", "mask", "--parent", str(people), "--nexset-name", "masked",
        *DEMANDS, "--proof-timeout", "2", *more,
    )  # fmt: skip


EXAMPLES = ROOT / "examples" / "transforms"


ATTACH = ["attach", "--nexset-name", "x", "--file", "F", "--name", "m"]


LAST = "    return output"


FIRST = "    output = {"


MUTATIONS = {
    "a typo in a field": GOOD.replace('key != "ssn"', 'key != "snn"'),
    "the wrong depth": GOOD.replace('output["contact"] = {"phone": "***"}', 'output["phone"] = "***"'),
    "it raises": GOOD.replace(LAST, "    raise ValueError(output)"),
    "it returns None": GOOD.replace(LAST, "    return None"),
    "identity": "def transform(input, metadata, args):\n    return input\n",
    "one of two fields": GOOD.replace('    output["email"] = output["email"][0] + "***"\n', ""),
    "the first record only": GOOD.replace(
        FIRST, "    if input['customer_id'] > 1:\n        return input\n    output = {"
    ),
    "the last record is let through": GOOD.replace(
        FIRST, "    if input['customer_id'] == 12:\n        return input\n    output = {"
    ),
    "renamed, not removed": GOOD.replace(LAST, "    output['tax_id'] = input['ssn']\n    return output"),
    "hidden in a text": GOOD.replace(
        LAST, "    output['note'] = 'was ' + input['ssn'].replace('-', '')\n    return output"
    ),
    "upper case is no mask": GOOD.replace('output["email"][0] + "***"', 'output["email"].upper()'),
    "removed, not masked": GOOD.replace('output["email"] = output["email"][0] + "***"', 'del output["email"]'),
    "it loses what must be kept": GOOD.replace(LAST, "    output['customer_id'] = None\n    return output"),
    "only keys go to lists": GOOD.replace(LAST, "    output['all'] = [{'SSN': 'x'}]\n    return output"),
}  # fmt: skip


def live_child(sandbox: Sandbox, people: int, tmp_path: Path) -> int:
    """A proven, ACTIVE nexset."""
    done = attach(sandbox, people, script(tmp_path, GOOD), "--activate").ok()
    return int(done.data["ids"]["nexset:masked"])


def statuses_seen(sandbox: Sandbox, nexset: int) -> list[str]:
    """The writes to the nexset, in order."""
    return [write.rsplit("/", 1)[-1] for write in sandbox.writes() if f"/data_sets/{nexset}" in write]


def plant_people(sandbox: Sandbox) -> int:
    """An empty sandbox with a detected nexset of personal data; returns its id."""
    sandbox.reset("empty")
    sandbox.control("POST", "settings", {"discovery_seconds": 0.02})
    folder = sandbox.data / "buckets" / "people"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "people.json").write_text(json.dumps(RECORDS))
    _, source = sandbox.api(
        "POST", "/data_sources", {"name": "people", "source_type": "s3", "source_config": {"path": "people"}}
    )
    _, credential = sandbox.api(
        "POST", "/data_credentials", {"name": "c", "credentials_type": "s3", "credentials": {"key": "k" * 9}}
    )
    sandbox.api("PUT", f"/data_sources/{source['id']}", {"data_credentials_id": credential["id"]})
    sandbox.api("PUT", f"/data_sources/{source['id']}/activate")
    sandbox.idle()
    return int(sandbox.api("GET", f"/data_sources/{source['id']}")[1]["data_sets"][0]["id"])
