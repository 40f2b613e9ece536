"""The file of a journal: locked, safe from other users, append-only, on disk before a request is sent."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
from pathlib import Path
from typing import Any

from helpers.core.errors import Exit, OperatorError, config_error

RESERVE_BYTES = 65_536  # kept free, so that a change can still be recorded and undone on a full disk
GROUP_OR_OTHERS = stat.S_IWGRP | stat.S_IWOTH
ELSEWHERE = "pass --journal FILE"


class JournalFile:
    """An open, locked journal file (mode 0600) with a small reserve of disk space beside it.

    Args:
        path: the file; it is created when it does not exist.

    Raises:
        OperatorError: CONFIG, when it cannot be opened or locked, or others may write to it; ERROR, when another run
            holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reserve = path.with_name(f".{path.name}.reserve")
        _refuse_open_directory(path.parent)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._cannot_write(error) from error
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        try:
            self._lock()
            _refuse_foreign(path, os.fstat(descriptor))
            self._keep_reserve()
        except OperatorError:
            self._file.close()
            raise

    def _cannot_write(self, error: OSError) -> OperatorError:
        return config_error(f"cannot write the journal {self.path}: {error.strerror}", ELSEWHERE)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OperatorError(
                Exit.ERROR,
                f"another run holds the journal {self.path}",
                hint="wait until it ends, then run again",
                retryable=True,
            ) from error
        except OSError as error:
            text = f"cannot lock the journal {self.path}: {error.strerror}"
            raise config_error(text, f"its file system may not support locks; {ELSEWHERE}") from error

    def _keep_reserve(self) -> None:
        try:
            descriptor = os.open(self._reserve, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                os.write(descriptor, bytes(RESERVE_BYTES))
            finally:
                os.close(descriptor)
        except OSError as error:
            self._reserve.unlink(missing_ok=True)
            raise self._cannot_write(error) from error

    def read(self) -> list[dict[str, Any]]:
        """The lines. An incomplete last line is removed: its request was never sent.

        Raises:
            OperatorError: CONFIG, when it is not a journal, or a line is damaged; the file is not changed.
        """
        self._file.seek(0)
        raw = self._file.read()
        complete = raw[: raw.rfind(b"\n") + 1]
        lines = []
        for place, text in enumerate(complete.splitlines(), 1):
            try:
                line = json.loads(text)
            except ValueError:
                line = None
            if not isinstance(line, dict):
                raise self._damaged(place)
            lines.append(line)
        if (raw and not lines) or (lines and "journal" not in lines[0]):
            raise config_error(f"{self.path} is not a journal; it was not changed", "pass another --journal FILE")
        self._file.truncate(len(complete))
        return lines

    def _damaged(self, place: int) -> OperatorError:
        if place == 1:
            return config_error(f"{self.path} is not a journal; it was not changed", "pass another --journal FILE")
        text = f"line {place} of the journal {self.path} is damaged; nothing was sent, and it was not changed"
        return config_error(text, "restore the file, or check by hand what its change did and move it away")

    def clear(self) -> None:
        """Remove all lines."""
        self._file.truncate(0)

    def append(self, line: dict[str, Any]) -> None:
        """Write one line and wait until it is on disk. When the disk is full, the reserve makes room.

        Raises:
            OperatorError: CONFIG, when it cannot be written.
        """
        data = (json.dumps(line, ensure_ascii=True) + "\n").encode()
        end = os.fstat(self._file.fileno()).st_size
        try:
            self._append(data, end)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise self._cannot_write(error) from error
            self._reserve.unlink(missing_ok=True)
            try:
                self._append(data, end)
            except OSError as again:
                raise self._cannot_write(again) from again

    def _append(self, data: bytes, end: int) -> None:
        self._file.seek(end)
        written = 0
        try:
            while written < len(data):
                written += self._file.write(data[written:]) or 0
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(end)
            raise

    def close(self) -> None:
        """Close the file, release the lock and the reserve."""
        self._reserve.unlink(missing_ok=True)
        self._file.close()


def _refuse_open_directory(directory: Path) -> None:
    """Check that other users cannot replace files in the directory.

    Raises:
        OperatorError: CONFIG.
    """
    try:
        facts = directory.stat()
    except OSError as error:
        raise config_error(f"cannot write a journal in {directory}: {error.strerror}", ELSEWHERE) from error
    if facts.st_mode & stat.S_IWOTH and not facts.st_mode & stat.S_ISVTX:
        text = f"all users may write to {directory}: they could replace the journal"
        raise config_error(text, f"chmod o-w {directory}, or {ELSEWHERE}")


def _refuse_foreign(path: Path, facts: os.stat_result) -> None:
    """Check that the journal is a regular file of the user that nobody else may write to.

    Raises:
        OperatorError: CONFIG.
    """
    if not stat.S_ISREG(facts.st_mode):
        raise config_error(f"{path} is not a regular file", "pass another --journal FILE")
    if facts.st_uid != os.geteuid() or facts.st_mode & GROUP_OR_OTHERS:
        text = f"other users may write to the journal {path}"
        raise config_error(text, f"chmod go-w {path} if you trust its content, or pass another --journal FILE")
