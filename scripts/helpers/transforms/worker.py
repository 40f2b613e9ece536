"""Child process that runs a Python transform: records in, outcomes out. ``jail.py`` starts it, isolates and limits it.

A guard in this process also keeps the script from the network, other processes and all files but the standard library.
It stops mistakes and explains them, but code that tries to escape can get around it: then the isolation counts. What
the script prints is discarded. The worker imports nothing from the bundle.
"""

import json
import os
import sys
from typing import Any

FORBIDDEN = ("socket.", "subprocess.", "os.", "shutil.", "ctypes.", "ftplib.", "urllib.", "http.", "sqlite3.", "pty.",
             "mmap.", "signal.", "tempfile.", "glob.", "pathlib.", "gc.", "cpython.")  # fmt: skip
HARMLESS = ("os.listdir", "os.scandir")  # imports use them; their paths are checked
MODULES = ("ctypes", "_ctypes", "_posixsubprocess", "subprocess", "sqlite3", "_sqlite3",
           "multiprocessing", "_multiprocessing", "mmap", "__main__", "gc")  # fmt: skip
NAME = "<transform>"
TIME_ZONES = ("/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo")  # as in zoneinfo
MAX_OUTPUT = 64 << 20  # bytes of JSON
MAX_ERROR_LENGTH = 2000


def make_guard() -> Any:
    """An audit hook. It cannot be removed, and the script cannot see or change its configuration."""
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
                raise PermissionError("a transform cannot list directories")
        elif event == "import" and args[0] in modules:
            raise PermissionError(f"a transform cannot use {args[0]}")
        elif event.startswith(forbidden):
            raise PermissionError(f"a transform cannot use {event}")

    return guard


def line_of(error: BaseException) -> int | None:
    """The line of the script that raised an error; None if unknown."""
    if isinstance(error, SyntaxError):
        return error.lineno
    line, trace = None, error.__traceback__
    while trace is not None:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == NAME else line
        trace = trace.tb_next
    return line


def described(error: BaseException) -> str:
    """The name and text of an error, even if it is the script's own and cannot describe itself."""
    try:
        return f"{type(error).__name__}: {error}"[:MAX_ERROR_LENGTH]
    except BaseException:
        return f"{type(error).__name__} (without a description)"[:MAX_ERROR_LENGTH]


def run_script(job: Any) -> str:
    """Run the script on each record. An error of the script belongs to its record.

    Args:
        job: ``source``, ``records``, ``args``, and ``functions``: names of which the first defined one is called.

    Returns:
        A JSON list with one ``{"output": …}`` or ``{"error": …, "line": …}`` per record.

    Raises:
        TypeError: The script does not define the function.
        MemoryError: The output is too large.
    """
    names: dict[str, object] = {"__name__": "nexla_transform"}
    wanted = job.get("functions") or ["transform", "transformAttribute"]
    encode = json.dumps  # the script may replace it
    exec(compile(job["source"], NAME, "exec"), names)
    function = next((names[name] for name in wanted if name in names), None)
    if not callable(function):
        raise TypeError(f"the script does not define {wanted[0]}(input, metadata, args)")
    outcomes, size = [], len("[]")
    for record in job["records"]:
        try:
            text = encode({"output": function(record, {}, job.get("args", {}))}, allow_nan=False)
        except BaseException as error:  # whatever the user's code raises, even SystemExit, is that record's error
            text = encode({"error": described(error), "line": line_of(error)})
        outcomes.append(text)
        size += len(text) + len(",")
        if size > MAX_OUTPUT:
            raise MemoryError(f"the output is larger than {MAX_OUTPUT >> 20} MB")
    return f"[{','.join(outcomes)}]"


def main() -> None:
    """Write the outcomes to standard output, or an error to standard error; exit 0 or 1 even if threads are running."""
    job = json.load(sys.stdin)
    out, err = (os.fdopen(os.dup(descriptor), "w", encoding="utf-8") for descriptor in (1, 2))
    devnull = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(devnull, descriptor)  # the script's prints must neither mix with the outcomes nor flood the caller
    sys.modules.pop("__main__", None)
    sys.addaudithook(make_guard())
    code = 0
    try:
        out.write(run_script(job))
        out.flush()
    except BaseException as error:
        code = 1
        err.write(described(error))
        err.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
