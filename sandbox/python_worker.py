"""Child process that runs a Python transform: records in, outcomes out, under CPU and memory limits."""

import json
import resource
import sys

CPU_SECONDS = 20
MEMORY_BYTES = 1 << 30
FUNCTIONS = ("transform", "transformAttribute")


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    job = json.load(sys.stdin)
    out, sys.stdout = sys.stdout, sys.stderr  # what the script prints must not mix with the outcomes
    names: dict[str, object] = {"__name__": "nexla_transform"}
    exec(compile(job["source"], "<transform>", "exec"), names)
    function = next((names[name] for name in FUNCTIONS if name in names), None)
    if not callable(function):
        raise SystemExit("the script defines no function transform(input, metadata, args)")
    outcomes = []
    for record in job["records"]:
        try:
            outcomes.append({"output": function(record, {}, {})})
        except Exception as error:  # whatever the user's code raises is that record's error
            outcomes.append({"error": f"{type(error).__name__}: {error}"})
    json.dump(outcomes, out)


if __name__ == "__main__":
    main()
