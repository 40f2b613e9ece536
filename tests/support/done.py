"""How a command ended, and assertions about it that explain themselves."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from typing import Any

from helpers.core.errors import Exit

SHOWN = 3000  # characters of each stream that a failure prints


@dataclass
class Done:
    """A command that has ended: its exit code and what it wrote."""

    code: int
    out: str
    err: str
    command: str = ""

    @property
    def json(self) -> Any:
        __tracebackhide__ = True
        try:
            return json.loads(self.out)
        except ValueError:
            raise AssertionError(self.described("standard output is not JSON")) from None

    @property
    def data(self) -> Any:
        return self.json["data"]

    @property
    def error(self) -> dict[str, Any]:
        """The one error object on standard error."""
        __tracebackhide__ = True
        found = self._errors()
        assert len(found) == 1, self.described(f"{len(found)} error objects on standard error, not one")
        return found[0]

    def ok(self, about: object = "") -> Done:
        """It ended well. ``about`` says which of a series of runs it was."""
        return self.ends(Exit.OK, about=about)

    def ends(self, *exits: Exit, about: object = "") -> Done:
        """It ended with this exit code, or one of these."""
        __tracebackhide__ = True
        wanted = " or ".join(_name(code) for code in exits)
        assert self.code in exits, self.described(f"it ended with {_name(self.code)}, not {wanted}", about)
        return self

    def fails(self, code: Exit, *words: str, about: object = "") -> dict[str, Any]:
        """It ended with this exit code and one error object, which says all of these words; returns that object."""
        __tracebackhide__ = True
        self.ends(code, about=about)
        error = self.error
        named = (error["code"], error["name"])
        assert named == (code, code.name), self.described(f"the error object calls itself {named}", about)
        said = f"{error['message']}\n{error['hint']}"
        missing = [text for text in words if text not in said]
        assert not missing, self.described(f"neither message nor hint says {' or '.join(map(repr, missing))}", about)
        return error

    def is_killed(self, about: object = "") -> Done:
        """``kill -9`` ended it."""
        __tracebackhide__ = True
        assert self.code == -signal.SIGKILL, self.described(
            f"it was not killed but ended with {_name(self.code)}", about
        )
        return self

    def _errors(self) -> list[dict[str, Any]]:
        return [json.loads(line)["error"] for line in self.err.splitlines() if line.startswith("{")]

    def described(self, what: str, about: object = "") -> str:
        """What was expected, and all that is known of the end."""
        lines = [what + (f" ({about})" if about != "" else ""), f"command: {self.command or '?'}"]
        try:
            for error in self._errors():
                lines += [f"message: {error['message']}", f"hint: {error['hint']}"]
        except (ValueError, KeyError, TypeError):
            lines.append("(standard error holds no readable error object)")
        for name, text in (("standard error", self.err), ("standard output", self.out)):
            shown = text if len(text) <= SHOWN else f"… {text[-SHOWN:]}"
            lines.append(f"-- {name}: {shown.strip() or 'nothing'}")
        return "\n".join(lines)


def _name(code: int) -> str:
    if code < 0:
        return f"signal {-code}"
    return f"{code} {Exit(code).name}" if code in list(Exit) else str(code)
