"""Child process that runs a Python transform: records in, outcomes out; limited in time and memory.

It may read the standard library and nothing else, and uses no network, no other process and no file. That guards
against mistakes and against code that pries; it is no jail for code that is out to break it. It imports nothing of the
bundle.
"""

import json
import os
import resource
import sys
import traceback
from typing import Any

CPU_SECONDS = 20
MEMORY_BYTES = 1 << 30
FORBIDDEN = ("socket.", "subprocess.", "os.", "shutil.", "ctypes.", "ftplib.", "urllib.", "http.", "sqlite3.", "pty.",
             "mmap.", "signal.", "tempfile.", "glob.", "pathlib.", "sys._getframe", "gc.", "cpython.")  # fmt: skip
HARMLESS = ("os.listdir", "os.scandir")  # imports use them; where they look is checked
MODULES = ("ctypes", "_ctypes", "_posixsubprocess", "subprocess", "socket", "_socket", "sqlite3", "_sqlite3",
           "multiprocessing", "_multiprocessing", "mmap", "__main__", "gc")  # fmt: skip
NAME = "<transform>"


def make_guard() -> Any:
    """An audit hook; it cannot be taken off again, and what it goes by is out of the script's sight."""
    roots = tuple({os.path.realpath(path) for path in (sys.base_prefix, sys.prefix, *sys.path) if path})
    forbidden, harmless, modules, real = FORBIDDEN, HARMLESS, MODULES, os.path.realpath
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT

    def readable(path: Any) -> bool:
        name = os.fsdecode(path) if isinstance(path, str | bytes) else ""
        return bool(name) and any(real(name) == root or real(name).startswith(root + os.sep) for root in roots)

    def guard(event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            mode, flags = args[1] or "", args[2] or 0
            if set(mode) & set("wax+") or flags & writing:
                raise PermissionError("a transform cannot write files")
            if not readable(args[0]):
                raise PermissionError("a transform cannot read files")
        elif event in harmless:
            if not readable(args[0]):
                raise PermissionError("a transform cannot look into folders")
        elif event == "import" and args[0] in modules:
            raise PermissionError(f"a transform cannot use {args[0]}")
        elif event.startswith(forbidden):
            raise PermissionError(f"a transform cannot use {event}")

    return guard


def line_of(error: BaseException) -> int | None:
    """The line of the script in which it was raised."""
    if isinstance(error, SyntaxError):
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == NAME]
    return lines[-1] if lines else None


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    job = json.load(sys.stdin)
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the script prints must not mix with the outcomes
    sys.stdout = sys.stderr
    names: dict[str, object] = {"__name__": "nexla_transform"}
    wanted = job.get("functions") or ["transform", "transformAttribute"]
    sys.modules.pop("__main__", None)
    sys.addaudithook(make_guard())
    exec(compile(job["source"], NAME, "exec"), names)
    function = next((names[name] for name in wanted if name in names), None)
    if not callable(function):
        raise SystemExit(f"the script defines no function {wanted[0]}(input, metadata, args)")
    outcomes = []
    for record in job["records"]:
        try:
            outcomes.append(
                {"output": json.loads(json.dumps(function(record, {}, job.get("args", {})), allow_nan=False))}
            )
        except (Exception, SystemExit) as error:  # whatever the user's code raises is that record's error
            outcomes.append({"error": f"{type(error).__name__}: {error}", "line": line_of(error)})
    json.dump(outcomes, out)
    out.flush()


if __name__ == "__main__":
    main()
