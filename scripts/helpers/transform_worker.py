"""Child process that runs a Python transform: records in, outcomes out; limited in time and memory, cut off from the
network, from other processes and from writing files. It imports nothing of the bundle."""

import json
import resource
import sys
import traceback
from typing import Any

CPU_SECONDS = 20
MEMORY_BYTES = 1 << 30
FUNCTIONS = ("transform", "transformAttribute")
FORBIDDEN = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.remove", "os.rename",
             "os.rmdir", "os.mkdir", "shutil.", "ctypes.", "ftplib.", "urllib.", "http.")  # fmt: skip
NAME = "<transform>"


def guard(event: str, args: tuple[Any, ...]) -> None:
    """An audit hook; it cannot be taken off again."""
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        raise PermissionError("a transform cannot write files")
    if event.startswith(FORBIDDEN):
        raise PermissionError(f"a transform cannot use {event}")


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
    out, sys.stdout = sys.stdout, sys.stderr  # what the script prints must not mix with the outcomes
    names: dict[str, object] = {"__name__": "nexla_transform"}
    sys.addaudithook(guard)
    exec(compile(job["source"], NAME, "exec"), names)
    function = next((names[name] for name in FUNCTIONS if name in names), None)
    if not callable(function):
        raise SystemExit("the script defines no function transform(input, metadata, args)")
    outcomes = []
    for record in job["records"]:
        try:
            outcomes.append(
                {"output": json.loads(json.dumps(function(record, {}, job.get("args", {})), allow_nan=False))}
            )
        except (Exception, SystemExit) as error:  # whatever the user's code raises is that record's error
            outcomes.append({"error": f"{type(error).__name__}: {error}", "line": line_of(error)})
    json.dump(outcomes, out)


if __name__ == "__main__":
    main()
