"""The journal of a change: an append-only file that survives the death of the process.

The intent is on disk before a request leaves, the outcome right after its answer. One process holds a journal at a
time. Values are redacted on their way in, so a restored configuration is checked for the redaction mark before use.
The first line is the header: what the change is, the format (``journal``), and the version of the bundle that wrote it.
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

SNAPSHOT = "remember"  # the action of a step that only writes facts into the journal
FORMAT = 2  # 1, of version 0.1.0, named some fields differently


@dataclass
class Entry:
    """What the journal knows of one step.

    Attributes:
        action: of the first intent: ``create``, ``update``, ``activate``…
        done: whether an outcome was written after the last intent.
        created: whether this change created the resource.
        at: when the last intent was written, in epoch seconds.
        before: state to go back to, as it was before the first intent.
        order: position of the first intent; undo goes from high to low.
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
    """The journal's place: one file per command, host and subject in the user's state directory."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    digest = hashlib.sha256(f"{command}\n{host}\n{subject}".encode()).hexdigest()[:8]
    slug = re.sub(r"[^A-Za-z0-9]+", "-", redact_text(subject))[:40].strip("-").lower()
    return Path(state) / "nexla-operator" / f"{command}-{re.sub(r'[^A-Za-z0-9.]+', '-', host)}-{slug}-{digest}.jsonl"


def open_journal(
    command: str, host: str, subject: str, *, path: str | None, resume: bool, config: str = "", pinned: bool = False
) -> Journal:
    """The locked journal of a change.

    Args:
        subject: what the change is about; a journal is not resumed for another subject.
        path: of ``--journal``; None is the default place.
        config: digest of the config that the change carries out.
        pinned: an unfinished change is not resumed with another config.

    Raises:
        OperatorError: as Journal.
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
        path: the file; created with mode 0600.
        header: what the change is; compared on resume.

    Raises:
        OperatorError: CONFIG when it cannot be written or belongs to another change, ERROR when another run holds
            it, USAGE when it is unfinished and ``resume`` is false.
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
            self._take_over(self._read(), header, resume=resume)
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
                hint="wait for it to end, then run again",
                retryable=True,
            ) from error

    def _read(self) -> list[dict[str, Any]]:
        """The complete lines; a last line that a kill cut off is removed, since nothing was done on its account."""
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
            raise config_error(f"{self.path} is not a journal; it was left as it is", "pass another --journal FILE")
        if lines and lines[0]["journal"] != FORMAT:
            raise config_error(
                f"the journal {self.path} was written by another version of this bundle; it was left as it is",
                "finish its change with that version, or move the file away to start over",
            )
        self._file.truncate(good)
        return lines

    def _take_over(self, lines: list[dict[str, Any]], header: dict[str, Any], *, resume: bool) -> None:
        for line in lines:
            self._replay(line)
        if lines and any(lines[0].get(key) != redact(header[key]) for key in ("command", "host", "subject")):
            raise config_error(f"the journal {self.path} belongs to another change", "pass another --journal FILE")
        if not self.finished and self.entries and not resume:
            raise usage(
                f"an earlier run is unfinished: {self.path}",
                "add --resume to go on where it stopped (or to roll it back, if it fails again)",
            )
        if self.pinned and self.entries and not self.finished and lines[0].get("config") != redact(header["config"]):
            raise usage(
                "the file says something else than when the unfinished run began",
                f"give it its former content and --resume; or, to leave what was done as it is, remove {self.path}",
            )
        if not resume or not lines or self.finished:
            self._start_over(header)

    def _start_over(self, header: dict[str, Any]) -> None:
        """A fresh file: what a finished change created is not this run's to undo."""
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
        """About to write to a resource (None: to create it). The first intent of a step fixes what undo goes back to,
        across resumes."""
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
            entry.before = before  # in this process the values as they are, not redacted
        return entry

    def done(self, key: str, resource_id: int | None, *, created: bool) -> None:
        """The write happened."""
        line = {"event": "done", "step": key, "id": resource_id, "created": created}
        self._write(line)
        self._replay(line)

    def undone(self, key: str) -> None:
        """The step's effect is gone again."""
        line = {"event": "undone", "step": key}
        self._write(line)
        self._replay(line)

    def finish(self, outcome: str) -> None:
        """Nothing is left to do."""
        self._write({"event": "finished", "outcome": outcome})
        self.finished = True

    def close(self) -> None:
        self._file.close()
