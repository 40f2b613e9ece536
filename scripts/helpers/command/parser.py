"""The flags that all commands share, and their value types."""

from __future__ import annotations

import argparse
import itertools
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from helpers.command.invocation import Invocation
from helpers.command.output import FORMATS
from helpers.core.errors import MEANINGS, usage
from helpers.core.nearest import did_you_mean
from helpers.core.redact import MARK, remember_arguments
from helpers.core.version import VERSION

EXIT_TABLE = "exit codes:\n" + "\n".join(f"  {int(code):>3} {code.name:<16} {text}" for code, text in MEANINGS.items())
_KEY_LIKE = re.compile(r"(?=[^\d]*\d)(?=[^A-Za-z]*[A-Za-z])(?!-)[A-Za-z0-9_+=-]{20,}")  # a key in the wrong place
FILE = "FILE"  # the metavar of flags that name a file


class Parser(argparse.ArgumentParser):
    """An argument parser that reports its errors as the scripts do: exit code USAGE and one error object.

    Flags cannot be abbreviated. An unknown flag is reported before anything else, such as a required flag that is
    missing because it was mistyped, and with the flag or choice that is nearest to it.
    """

    _given: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; arguments are kept for errors, which repeat them, so that those that look secret are registered."""
        self._given = sys.argv[1:] if args is None else list(args)
        remember_arguments(self._given)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        for word in itertools.takewhile(lambda word: word != "--", self._given):
            name = word.partition("=")[0]
            is_flag = name.startswith("--") or (len(name) > 2 and name[0] == "-" and name[1].isalpha())
            if is_flag and name not in self._option_string_actions:
                guess = did_you_mean(f"--{name.lstrip('-')}", self._option_string_actions)
                raise usage(f"unknown flag {name}", f"{guess}see {self.prog} --help")
        text, found, words = message.partition("unrecognized arguments: ")
        shown = (MARK if _KEY_LIKE.fullmatch(word) else word for word in words.split(" "))
        raise usage(text + found + " ".join(shown), f"see {self.prog} --help")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(choice) for choice in action.choices]
            text = f"{'/'.join(action.option_strings)} cannot be {value!r}"
            raise usage(text, f"{did_you_mean(str(value), known)}one of {', '.join(known)}")

    def invocation(self, args: argparse.Namespace) -> Invocation:
        """The parsed command line: every flag that differs from its default, with absolute file names."""
        given = []
        for action in self._actions:  # argparse has no public list of them
            value = getattr(args, action.dest, None)
            if action.option_strings and value is not None and value != action.default:
                given.append((action.dest, _words(action, value)))
        return Invocation(self.prog, tuple(given))


def _words(action: argparse.Action, value: Any) -> tuple[str, ...]:
    flag = action.option_strings[0]
    if value is True:
        return (flag,)
    if value is False:
        return (action.option_strings[-1],)  # --no-…
    if isinstance(value, float):
        return flag, f"{value:g}"
    if action.metavar == FILE and value != "-":
        return flag, str(Path(value).absolute())
    return flag, str(value)


class CommonOptions(NamedTuple):
    """The common flags of all commands.

    Attributes:
        timeout: deadline of the command in seconds; None for no deadline.
        rps: requests per second; None for the default limits.
        workers: the number of parallel reads.
    """

    env_file: str | None
    timeout: float | None
    rps: float | None
    workers: int
    quiet: bool
    verbose: bool


class ChangeOptions(NamedTuple):
    """The common flags of commands that write.

    Attributes:
        mark: whether what is created gets a tag by which this change recognises it.
    """

    dry_run: bool
    journal: str | None
    resume: bool
    mark: bool


def command_parser(
    command: str,
    description: str,
    example: str,
    *,
    writes: bool = False,
    creates: bool = False,
    formats: tuple[str, ...] = (),
) -> Parser:
    """A parser with the common flags.

    Args:
        command: the script's name without ``.py``.
        example: one command line that works as written.
        writes: whether to add the flags of commands that write.
        creates: whether such a command creates resources that can carry a mark.
        formats: additional formats of this command.
    """
    parser = Parser(
        prog=f"{command}.py",
        description=description,
        epilog=f"example, from the folder of the bundle:\n  {example}\n\n{EXIT_TABLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    common = parser.add_argument_group("common")
    common.add_argument("--format", choices=(*FORMATS, *formats), help="default: table on a terminal, json otherwise")
    common.add_argument("--output", metavar=FILE, help="write the result to FILE (mode 0600, atomically)")
    common.add_argument("--fields", metavar="A,B", help="show only these fields; use dots for nested fields")
    common.add_argument("--env-file", metavar=FILE, help="read the NEXLA_* settings from FILE, not the environment")
    common.add_argument("--timeout", type=seconds, metavar="SECONDS", help="deadline for the entire command")
    common.add_argument("--rps", type=_rate, metavar="N", help="send at most N requests per second")
    common.add_argument("--workers", type=_workers, default=4, metavar="N", help="parallel reads (default 4)")
    common.add_argument("--quiet", action="store_true", help="show no progress on standard error")
    common.add_argument("--verbose", action="store_true", help="show more details, and a traceback on failure")
    common.add_argument("--version", action="version", version=f"%(prog)s {VERSION}", help="show the version and exit")
    if writes:
        _add_change_flags(parser, creates=creates)
    return parser


def _add_change_flags(parser: Parser, *, creates: bool) -> None:
    change = parser.add_argument_group("change")
    change.add_argument("--dry-run", action="store_true", help="show what would be done, without writing anything")
    change.add_argument("--journal", metavar=FILE, help="journal of the change (default: in the state directory)")
    change.add_argument("--resume", action="store_true", help="continue an unfinished change")
    if creates:
        change.add_argument(
            "--no-mark",
            dest="mark",
            action="store_false",
            help="create without the tag nexla-operator/…, by which a change knows what it created",
        )
    else:
        parser.set_defaults(mark=True)


def common_options(args: argparse.Namespace) -> CommonOptions:
    """The common flags."""
    return CommonOptions(*(getattr(args, name) for name in CommonOptions._fields))


def change_options(args: argparse.Namespace) -> ChangeOptions:
    """The flags of a command that writes."""
    return ChangeOptions(*(getattr(args, name) for name in ChangeOptions._fields))


def split_list(text: str | None) -> tuple[str, ...]:
    """The items of a comma-separated list, without empty ones."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def flag(dest: str) -> str:
    """The flag for an attribute of the parsed arguments: ``dry_run`` → ``--dry-run``."""
    return f"--{dest.replace('_', '-')}"


def _positive(text: str, kind: type[float] | type[int], top: float) -> Any:
    try:
        value = kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 < value <= top:
        raise argparse.ArgumentTypeError(f"{text} is out of range: must be greater than 0 and at most {top:g}")
    return value


def seconds(text: str) -> float:
    """Argument type: seconds, greater than 0 and at most a week."""
    return float(_positive(text, float, 7 * 86_400))


def hours(text: str) -> float:
    """Argument type: hours, greater than 0 and at most ten years."""
    return float(_positive(text, float, 87_600))


def _rate(text: str) -> float:
    return float(_positive(text, float, 1000))


def _workers(text: str) -> int:
    return int(_positive(text, int, 16))
