"""The journal of a change: what it was about to do and what it did, as one line per event.

The intent is on disk before a request is sent, and the outcome right after its response. The first line is the header:
the format (``journal``), the version of the bundle, the id of the change, and a digest of whose change it is. Steps are
named by digests, with a readable name beside them; values are stored as ``stored_values`` says.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from helpers.change.journal_file import ELSEWHERE, JournalFile
from helpers.change.restore import with_later_edits
from helpers.change.stored_values import to_stored
from helpers.core.errors import OperatorError, config_error, usage
from helpers.core.marks import digest, mark_of
from helpers.core.redact import redact_text
from helpers.core.version import VERSION

SNAPSHOT = "remember"  # the action of a step that only records facts in the journal
FORMAT = 3  # 2: keys were not digests, and values were redacted; 1: other names for some fields
CHANGE_ID_BYTES = 6
KEY_DIGITS = 16  # hex digits of a step's key
ANOTHER_CHANGE = "pass another --journal FILE"


class Identity(NamedTuple):
    """What makes two runs the same change.

    Attributes:
        command: the name of the command.
        api_url: the full URL of the API.
        org_id, user_id: the caller; None when the API does not tell.
        subject: what the change is about.
    """

    command: str
    api_url: str
    org_id: int | None
    user_id: int | None
    subject: str

    @property
    def digest(self) -> str:
        """A digest of all parts."""
        return digest("\n".join(map(str, self)), 32)

    def path(self) -> Path:
        """The default path of the journal, in the user's state directory."""
        state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        host = re.sub(r"[^A-Za-z0-9.]+", "-", self.api_url.partition("://")[2].partition("/")[0])
        subject = re.sub(r"[^A-Za-z0-9]+", "-", redact_text(self.subject))[:40].strip("-").lower()
        return Path(state) / "nexla-operator" / f"{self.command}-{host}-{subject}-{self.digest[:8]}.jsonl"


@dataclass
class Entry:
    """What the journal knows about one step.

    Attributes:
        key: the key of the step; redacted, when an earlier run wrote the entry.
        action: the action of the first intent: ``create``, ``update``, ``activate``…
        order: the position of the first intent; undo runs from high to low.
        id: the id of the resource; None while it is unknown.
        done: whether the outcome of the last intent was written.
        created: whether this change created the resource.
        proven: whether that is certain, by the response or by the mark; otherwise it is only likely.
        as_sent: whether the new resource was seen with the content that was sent; None when it was not compared.
        since: when the first intent was written, in epoch seconds.
        at: when the last intent was written, in epoch seconds.
        before: the state before the first intent, which undo restores.
        resume_data: facts that a resumed run needs.
    """

    key: str
    action: str
    order: int
    id: int | None = None
    done: bool = False
    created: bool = False
    proven: bool = True
    as_sent: bool | None = None
    since: float = 0.0
    at: float = 0.0
    before: dict[str, Any] = field(default_factory=dict)
    resume_data: dict[str, Any] = field(default_factory=dict)


def open_journal(
    identity: Identity, *, path: str | None, resume: bool, config: str = "", pinned: bool = False
) -> Journal:
    """Open and lock the journal of a change.

    Args:
        identity: what the change is; a journal cannot be resumed for another one.
        path: the value of ``--journal``; None for the default path.
        resume: whether to continue an unfinished change.
        config: digest of the config that the change carries out.
        pinned: whether an unfinished change can be resumed only with the same config.

    Raises:
        OperatorError: as ``Journal``.
    """
    file = Path(path) if path else identity.path()
    if not path:
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise config_error(f"cannot write the journal {file}: {error.strerror}", ELSEWHERE) from error
    header = {"command": identity.command, "subject": redact_text(identity.subject), "identity": identity.digest,
              "config": config}  # fmt: skip
    return Journal(file, header, resume=resume, pinned=pinned)


class Journal:
    """An open, locked journal.

    Args:
        path: the file.
        header: identifies the change; its ``identity`` must match on resume.
        resume: whether to continue an unfinished change.
        pinned: as in ``open_journal``.

    Attributes:
        change_id: part of the mark of everything that the change creates; the same in every run of the change.
        entries: the steps that have an effect, by the digests of their keys.

    Raises:
        OperatorError: CONFIG, when the file cannot be written, is not a journal, is damaged, or belongs to another
            change; ERROR, when another run holds it; USAGE, when it is unfinished and ``resume`` is false, or its
            config changed.
    """

    def __init__(self, path: Path, header: dict[str, Any], *, resume: bool, pinned: bool = False) -> None:
        self.path, self.pinned = path, pinned
        self.change_id = ""
        self.entries: dict[str, Entry] = {}
        self.finished = False
        self._file = JournalFile(path)
        try:
            self._load(self._file.read(), header, resume=resume)
        except OperatorError:
            self._file.close()
            raise

    def _load(self, lines: list[dict[str, Any]], header: dict[str, Any], *, resume: bool) -> None:
        if lines and lines[0]["journal"] != FORMAT:
            raise config_error(
                f"the journal {self.path} was written by another version of this bundle; it was not changed",
                "finish its change with that version, or move the file away to start over",
            )
        for line in lines:
            self._replay(line)
        if lines and lines[0].get("identity") != header["identity"]:
            text = f"the journal {self.path} belongs to another change, account or API"
            raise config_error(text, ANOTHER_CHANGE)
        if not self.finished and self.entries and not resume:
            raise usage(
                f"an earlier run is unfinished: {self.path}",
                "add --resume to continue where it stopped (if it fails again, it can be rolled back)",
            )
        if self.pinned and self.entries and not self.finished and lines[0].get("config") != header["config"]:
            raise usage(
                "the file has changed since the unfinished run began",
                f"restore its former content and add --resume; or delete {self.path} to keep what was done so far",
            )
        if not resume or not lines or self.finished:
            self._start_over(header)
        else:
            self.change_id = str(lines[0].get("change"))

    def _start_over(self, header: dict[str, Any]) -> None:
        """Start with an empty file, because this run must not undo what a finished change created."""
        self._file.clear()
        self.entries, self.finished = {}, False
        self.change_id = secrets.token_hex(CHANGE_ID_BYTES)
        self._write({"journal": FORMAT, "version": VERSION, "change": self.change_id, **header})

    def _replay(self, line: dict[str, Any]) -> None:
        event, step = line.get("event"), str(line.get("step"))
        if event == "intent":
            self._replay_intent(line, step)
        elif event == "done" and step in self.entries:
            entry = self.entries[step]
            entry.done, entry.id = True, line.get("id")
            entry.created = bool(line.get("created", entry.created))
            entry.proven = bool(line.get("proven", True))
        elif event == "seen" and step in self.entries:
            self.entries[step].as_sent = line.get("as_sent")
        elif event == "undone":
            self.entries.pop(step, None)
        elif event == "finished":
            self.finished = True

    def _replay_intent(self, line: dict[str, Any], step: str) -> None:
        entry = self.entries.setdefault(step, Entry(str(line.get("key")), line["action"], len(self.entries)))
        entry.done, entry.at = False, line.get("at", 0) / 1000
        entry.since = entry.since or entry.at
        entry.id = line.get("id") or entry.id
        entry.before = with_later_edits(entry.before, line.get("before") or {})
        entry.resume_data = entry.resume_data or line.get("resume_data") or {}
        if line["action"] == "create":
            entry.created = True

    def _write(self, line: dict[str, Any]) -> None:
        self._file.append({**line, "at": int(time.time() * 1000)})

    def entry(self, key: str) -> Entry | None:
        """The entry of the step with this key; None when it has no effect."""
        return self.entries.get(digest(key, KEY_DIGITS))

    def mark(self, key: str) -> str:
        """The mark of what the step with this key creates."""
        return mark_of(self.change_id, key)

    def intent(
        self, key: str, action: str, resource_id: int | None, before: dict[str, Any], resume_data: dict[str, Any]
    ) -> Entry:
        """Record that a resource is about to be written.

        Args:
            key: the key of the step.
            resource_id: None when the resource is about to be created.
            before: what undo restores. The first intent of a step decides, also across resumes.
            resume_data: facts that a resumed run needs.

        Raises:
            OperatorError: CONFIG, when the journal cannot be written.
        """
        line = {"event": "intent", "step": digest(key, KEY_DIGITS), "key": redact_text(key), "action": action,
                "id": resource_id, "before": before, "resume_data": resume_data}  # fmt: skip
        stored = {**line, "before": to_stored(before), "resume_data": to_stored(resume_data)}
        self._write(stored)
        self._replay({**line, "key": key, "at": time.time() * 1000})
        return self.entries[digest(key, KEY_DIGITS)]

    def done(self, key: str, resource_id: int | None, *, created: bool, proven: bool = True) -> None:
        """Record that the write succeeded."""
        self._event("done", key, id=resource_id, created=created, proven=proven)

    def seen(self, key: str, *, as_sent: bool) -> None:
        """Record whether a new resource was seen with the content that was sent."""
        self._event("seen", key, as_sent=as_sent)

    def undone(self, key: str) -> None:
        """Record that the step has no effect any more."""
        self._event("undone", key)

    def _event(self, event: str, key: str, **facts: Any) -> None:
        line = {"event": event, "step": digest(key, KEY_DIGITS), **facts}
        self._write(line)
        self._replay(line)

    def finish(self, outcome: str) -> None:
        """Record that nothing is left to do."""
        self._write({"event": "finished", "outcome": outcome})
        self.finished = True

    def close(self) -> None:
        """Close the file and release the lock."""
        self._file.close()
