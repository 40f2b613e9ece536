"""The journal of a change: an append-only file that survives a crash of the process.

The intent is on disk before a request is sent, and the outcome right after its response. Only one process can hold a
journal at a time. Values are redacted before they are written, so a configuration is checked for the redaction mark
before it is restored. The first line is the header: the change, the format (``journal``), and the version of the bundle
that wrote it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helpers.core.errors import Exit, OperatorError, config_error, usage
from helpers.core.redact import redact, redact_text
from helpers.core.version import VERSION

SNAPSHOT = "remember"  # the action of a step that only records facts in the journal
FORMAT = 2  # format 1 (version 0.1.0) had other names for some fields


@dataclass
class Entry:
    """What the journal knows about one step.

    Attributes:
        action: the action of the first intent: ``create``, ``update``, ``activate``…
        order: the position of the first intent; undo runs from high to low.
        id: the id of the resource; None while it is unknown.
        done: whether the outcome of the last intent was written.
        created: whether this change created the resource.
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
    at: float = 0.0
    before: dict[str, Any] = field(default_factory=dict)
    resume_data: dict[str, Any] = field(default_factory=dict)


def default_path(command: str, host: str, subject: str) -> Path:
    """The default path of a journal: one file per command, host and subject in the user's state directory."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    digest = hashlib.sha256(f"{command}\n{host}\n{subject}".encode()).hexdigest()[:8]
    slug = re.sub(r"[^A-Za-z0-9]+", "-", redact_text(subject))[:40].strip("-").lower()
    return Path(state) / "nexla-operator" / f"{command}-{re.sub(r'[^A-Za-z0-9.]+', '-', host)}-{slug}-{digest}.jsonl"


def open_journal(
    command: str, host: str, subject: str, *, path: str | None, resume: bool, config: str = "", pinned: bool = False
) -> Journal:
    """Open and lock the journal of a change.

    Args:
        command: the name of the command.
        host: host and port of the API.
        subject: what the change is about; a journal cannot be resumed for another subject.
        path: the value of ``--journal``; None for the default path.
        resume: whether to continue an unfinished change.
        config: digest of the config that the change carries out.
        pinned: whether an unfinished change can be resumed only with the same config.

    Raises:
        OperatorError: as ``Journal``.
    """
    file = Path(path) if path else default_path(command, host, subject)
    if not path:
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise config_error(f"cannot write the journal {file}: {error.strerror}", "pass --journal FILE") from error
    digest = hashlib.sha256(subject.encode()).hexdigest()[:12]
    return Journal(file, {"command": command, "host": host, "subject": digest, "config": config}, resume=resume,
                   pinned=pinned)  # fmt: skip


class Journal:
    """An open, locked journal.

    Args:
        path: the file; it is created with mode 0600.
        header: identifies the change; it must match on resume.
        resume: whether to continue an unfinished change.
        pinned: as in ``open_journal``.

    Raises:
        OperatorError: CONFIG, when the file cannot be written, is not a journal or belongs to another change; ERROR,
            when another run holds it; USAGE, when it is unfinished and ``resume`` is false, or its config changed.
    """

    def __init__(self, path: Path, header: dict[str, Any], *, resume: bool, pinned: bool = False) -> None:
        self.path, self.pinned = path, pinned
        self.entries: dict[str, Entry] = {}
        self.finished = False
        try:
            self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
        except OSError as error:
            raise config_error(f"cannot write the journal {path}: {error.strerror}", "pass --journal FILE") from error
        try:
            self._lock()
            self._load(self._read(), header, resume=resume)
        except OperatorError:
            self._file.close()
            raise

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OperatorError(
                Exit.ERROR,
                f"another run holds the journal {self.path}",
                hint="wait until it ends, then run again",
                retryable=True,
            ) from error

    def _read(self) -> list[dict[str, Any]]:
        """Read the complete lines. An incomplete last line is removed, because its request was never sent."""
        lines: list[dict[str, Any]] = []
        good = 0
        for raw in self._file.read().splitlines(keepends=True):
            try:
                line = json.loads(raw)
            except ValueError:
                break
            if not isinstance(line, dict) or not raw.endswith(b"\n"):
                break
            lines.append(line)
            good += len(raw)
        if (not lines and self._file.tell()) or (lines and "journal" not in lines[0]):
            raise config_error(f"{self.path} is not a journal; it was not changed", "pass another --journal FILE")
        if lines and lines[0]["journal"] != FORMAT:
            raise config_error(
                f"the journal {self.path} was written by another version of this bundle; it was not changed",
                "finish its change with that version, or move the file away to start over",
            )
        self._file.truncate(good)
        return lines

    def _load(self, lines: list[dict[str, Any]], header: dict[str, Any], *, resume: bool) -> None:
        for line in lines:
            self._replay(line)
        if lines and any(lines[0].get(key) != redact(header[key]) for key in ("command", "host", "subject")):
            raise config_error(f"the journal {self.path} belongs to another change", "pass another --journal FILE")
        if not self.finished and self.entries and not resume:
            raise usage(
                f"an earlier run is unfinished: {self.path}",
                "add --resume to continue where it stopped (if it fails again, it can be rolled back)",
            )
        if self.pinned and self.entries and not self.finished and lines[0].get("config") != redact(header["config"]):
            raise usage(
                "the file has changed since the unfinished run began",
                f"restore its former content and add --resume; or delete {self.path} to keep what was done so far",
            )
        if not resume or not lines or self.finished:
            self._start_over(header)

    def _start_over(self, header: dict[str, Any]) -> None:
        """Start with an empty file, because this run must not undo what a finished change created."""
        self._file.seek(0)
        self._file.truncate()
        self.entries, self.finished = {}, False
        self._write({**header, "journal": FORMAT, "version": VERSION})

    def _replay(self, line: dict[str, Any]) -> None:
        event, key = line.get("event"), str(line.get("step"))
        if event == "intent":
            entry = self.entries.setdefault(key, Entry(key, line["action"], len(self.entries)))
            entry.done, entry.at = False, line.get("at", 0) / 1000
            entry.id = line.get("id") or entry.id
            if not entry.before:
                entry.before = line.get("before") or {}
            entry.resume_data = entry.resume_data or line.get("resume_data") or {}
            if line["action"] == "create":
                entry.created = True
        elif event == "done" and key in self.entries:
            entry = self.entries[key]
            entry.done, entry.id = True, line.get("id")
            entry.created = bool(line.get("created", entry.created))
        elif event == "undone":
            self.entries.pop(key, None)
        elif event == "finished":
            self.finished = True

    def _write(self, line: dict[str, Any]) -> None:
        line["at"] = int(time.time() * 1000)
        try:
            self._file.seek(0, os.SEEK_END)
            self._file.write((json.dumps(redact(line), ensure_ascii=False) + "\n").encode())
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise config_error(f"cannot write the journal {self.path}: {error.strerror}") from error

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
        line = {
            "event": "intent",
            "step": key,
            "action": action,
            "id": resource_id,
            "before": before,
            "resume_data": resume_data,
        }
        self._write(line)
        known = self.entries.get(key)
        self._replay(line)
        entry = self.entries[key]
        if known is None:
            entry.before = before  # in this process, the original values without redaction
        return entry

    def done(self, key: str, resource_id: int | None, *, created: bool) -> None:
        """Record that the write succeeded."""
        line = {"event": "done", "step": key, "id": resource_id, "created": created}
        self._write(line)
        self._replay(line)

    def undone(self, key: str) -> None:
        """Record that the step has no effect any more."""
        line = {"event": "undone", "step": key}
        self._write(line)
        self._replay(line)

    def finish(self, outcome: str) -> None:
        """Record that nothing is left to do."""
        self._write({"event": "finished", "outcome": outcome})
        self.finished = True

    def close(self) -> None:
        """Close the file and release the lock."""
        self._file.close()
