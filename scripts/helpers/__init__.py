"""The package that all scripts share. Importing it checks the Python version and does nothing else."""

import sys

MINIMUM_PYTHON = (3, 11)

if sys.version_info < MINIMUM_PYTHON:  # this file must parse on old versions, or they never reach this check
    sys.stderr.write(
        '{"ok": false, "error": {"code": 3, "name": "CONFIG", "message": "Python %d.%d is too old", '
        '"retryable": false, "hint": "run with Python %d.%d or newer, e.g. python%d.%d %s"}}\n'
        % (sys.version_info[:2] + MINIMUM_PYTHON + MINIMUM_PYTHON + (sys.argv[0],))
    )
    raise SystemExit(3)
