"""Child process that runs a Python transform: records in, outcomes out; limited in time, memory and output.

It may read the standard library and nothing else, and uses no network, no other process and no file. That guards
against mistakes and against code that pries; it is no jail for code that is out to break it. What the script prints
goes nowhere. It imports nothing of the bundle.
"""

import json
import os
import resource
import sys
from typing import Any

CPU_SECONDS = 20
MEMORY_BYTES = 1 << 30
FORBIDDEN = ("socket.", "subprocess.", "os.", "shutil.", "ctypes.", "ftplib.", "urllib.", "http.", "sqlite3.", "pty.",
             "mmap.", "signal.", "tempfile.", "glob.", "pathlib.", "gc.", "cpython.")  # fmt: skip
HARMLESS = ("os.listdir", "os.scandir")  # imports use them; where they look is checked
MODULES = ("ctypes", "_ctypes", "_posixsubprocess", "subprocess", "sqlite3", "_sqlite3",
           "multiprocessing", "_multiprocessing", "mmap", "__main__", "gc")  # fmt: skip
NAME = "<transform>"
TIME_ZONES = ("/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo")  # as zoneinfo's
MOST_OUTPUT = 64 << 20  # characters of JSON
LONGEST_ERROR = 2000


def make_guard() -> Any:
    """An audit hook; it cannot be taken off again, and what it goes by is out of the script's sight."""
    roots = tuple({os.path.realpath(path) for path in (sys.base_prefix, sys.prefix, *sys.path, *TIME_ZONES) if path})
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
    line, trace = None, error.__traceback__
    while trace is not None:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == NAME else line
        trace = trace.tb_next
    return line


def outcomes_of(job: Any) -> list[Any]:
    """Run the script on each record; its errors are the records' own."""
    names: dict[str, object] = {"__name__": "nexla_transform"}
    wanted = job.get("functions") or ["transform", "transformAttribute"]
    exec(compile(job["source"], NAME, "exec"), names)
    function = next((names[name] for name in wanted if name in names), None)
    if not callable(function):
        raise TypeError(f"the script defines no function {wanted[0]}(input, metadata, args)")
    outcomes, size = [], 0
    for record in job["records"]:
        try:
            text = json.dumps(function(record, {}, job.get("args", {})), allow_nan=False)
        except BaseException as error:  # whatever the user's code raises, exits included, is that record's error
            text = json.dumps({"error": f"{type(error).__name__}: {error}"[:LONGEST_ERROR], "line": line_of(error)})
            outcomes.append(json.loads(text))
        else:
            outcomes.append({"output": json.loads(text)})
        size += len(text)
        if size > MOST_OUTPUT:
            raise MemoryError(f"the output is larger than {MOST_OUTPUT >> 20} MB")
    return outcomes


def main() -> None:
    """Outcomes to standard output, or why there are none to standard error; exit 0 or 1, whatever threads are left."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    job = json.load(sys.stdin)
    out, err = (os.fdopen(os.dup(number), "w", encoding="utf-8") for number in (1, 2))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)  # what the script prints must neither mix with the outcomes nor fill the caller
    sys.modules.pop("__main__", None)
    sys.addaudithook(make_guard())
    code = 0
    try:
        json.dump(outcomes_of(job), out)
        out.flush()
    except BaseException as error:
        code = 1
        err.write(f"{type(error).__name__}: {error}"[:LONGEST_ERROR])
        err.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
