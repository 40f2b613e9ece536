"""The command line that all scripts share: flags, the main wrapper, progress, errors and exit codes."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from helpers.command.output import FORMATS, Renderer, Result, to_line
from helpers.core import limits
from helpers.core.errors import MEANINGS, Exit, OperatorError, usage
from helpers.core.redact import redact_text

if TYPE_CHECKING:
    from helpers.api.session import Session

ROOT = Path(__file__).resolve().parents[3]
INSTALL = f"{sys.executable} -m pip install -r {ROOT / 'requirements.txt'}"
AGAIN = "run the same command again; one that writes takes --resume"
EXIT_TABLE = "exit codes:\n" + "\n".join(f"  {int(code):>3} {code.name:<16} {text}" for code, text in MEANINGS.items())


class Parser(argparse.ArgumentParser):
    """argparse whose errors follow the contract: exit 2, one error object, nothing sent."""

    def error(self, message: str) -> NoReturn:
        raise usage(message, f"see {self.prog} --help")


def build_parser(
    command: str, description: str, example: str, *, writes: bool = False, formats: tuple[str, ...] = ()
) -> Parser:
    """A parser with the common flags; ``example`` is one runnable command line, ``formats`` are the command's own."""
    parser = Parser(
        prog=f"{command}.py",
        description=description,
        epilog=f"example:\n  {example}\n\n{EXIT_TABLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    common = parser.add_argument_group("common")
    common.add_argument("--format", choices=(*FORMATS, *formats), help="default: table on a terminal, json otherwise")
    common.add_argument("--output", metavar="FILE", help="write the result to FILE (0600, atomically)")
    common.add_argument("--fields", metavar="A,B", help="only these fields, dotted for nested ones")
    common.add_argument("--env-file", metavar="FILE", help="read the NEXLA_* settings from FILE, not the environment")
    common.add_argument("--timeout", type=seconds, metavar="SECONDS", help="deadline of the whole command")
    common.add_argument("--rps", type=_rate, metavar="N", help="at most N requests a second")
    common.add_argument("--workers", type=_workers, default=4, metavar="N", help="parallel reads (default 4)")
    common.add_argument("--quiet", action="store_true", help="no progress on standard error")
    common.add_argument("--verbose", action="store_true", help="tell more, and show a traceback on failure")
    if writes:
        change = parser.add_argument_group("change")
        change.add_argument("--dry-run", action="store_true", help="show what would be done; write nothing")
        change.add_argument("--journal", metavar="FILE", help="journal of the change (default: in the state directory)")
        change.add_argument("--resume", action="store_true", help="go on with an unfinished change")
    return parser


def add_target_flags(parser: argparse.ArgumentParser, *, default_type: str | None = None) -> None:
    """``--resource-type``, ``--resource-id``, ``--name``."""
    parser.add_argument("--resource-type", metavar="TYPE", required=default_type is None, default=default_type,
                        help="flows, sources, nexsets or destinations, under any of their names")  # fmt: skip
    parser.add_argument("--resource-id", metavar="ID", help="id of the resource")
    parser.add_argument("--name", metavar="NAME", help="its exact name, instead of an id")


def _positive(text: str, kind: type[float] | type[int], top: float) -> Any:
    try:
        value = kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 < value <= top:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most {top:g}")
    return value


def seconds(text: str) -> float:
    """An argument in seconds: above 0, at most a week."""
    return float(_positive(text, float, 7 * 86_400))


def hours(text: str) -> float:
    """An argument in hours: above 0, at most ten years."""
    return float(_positive(text, float, 87_600))


def _rate(text: str) -> float:
    return float(_positive(text, float, 1000))


def _workers(text: str) -> int:
    return int(_positive(text, int, 16))


def _ignore(done: int) -> None:
    """Show nothing."""


class Reporter:
    """Progress on standard error: lines, or one live line on a terminal; nothing with ``--quiet``."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._live = sys.stderr.isatty() and not quiet and os.environ.get("TERM") != "dumb"

    def say(self, text: str) -> None:
        if self._quiet:
            return
        line = redact_text(text)
        if self._live:
            sys.stderr.write(f"\r\x1b[K{line[:200]}\n")
        else:
            sys.stderr.write(line + "\n")
        sys.stderr.flush()

    @contextlib.contextmanager
    def progress(self, title: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """A bar on a terminal; call what it gives with the number done so far."""
        if not self._live or not total:
            yield _ignore
            return

        def show(done: int) -> None:
            filled = min(20, 20 * done // total)
            sys.stderr.write(f"\r\x1b[K{title} [{'#' * filled}{'.' * (20 - filled)}] {done}/{total}")
            sys.stderr.flush()

        try:
            yield show
        finally:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


class Context:
    """What a job gets besides its arguments: a lazily opened session and a voice."""

    def __init__(self, args: argparse.Namespace, reporter: Reporter) -> None:
        self.args, self.say, self.progress = args, reporter.say, reporter.progress
        self._session: Session | None = None
        self.deadline = limits.Deadline(args.timeout)

    @property
    def session(self) -> Session:
        """The session; opened at first use, so that offline work needs neither credentials nor the SDK.

        Raises:
            OperatorError: CONFIG.
        """
        if self._session is None:
            from helpers.core.settings import load_settings

            settings = load_settings(self.args.env_file)
            for note in settings.notes:
                self.say(f"note: {note}")
            from helpers.api.session import Session  # late: wrong settings are refused without it

            limiter = limits.RateLimiter(self.args.rps, unlimited=settings.loopback)
            self._session = Session(settings, self.deadline, limiter)
        return self._session

    def meta(self) -> dict[str, Any]:
        return {"requests": self._session.requests if self._session else 0}


Job = Callable[[argparse.Namespace, Context], Result]


def main(command: str, parser: argparse.ArgumentParser, job: Job, argv: Sequence[str] | None) -> int:
    """Parse, run the job, render its result, and turn every failure into one error object and an exit code."""
    args = None
    try:
        args = parser.parse_args(argv)
        _catch_signals(graceful=hasattr(args, "resume"))
        whole = bool(getattr(args, "full", False))
        renderer = Renderer(command, args.format, args.output, args.fields, whole_rows=whole)
        context = Context(args, Reporter(quiet=args.quiet))
        result = _run(job, args, context, renderer)
        for warning in result.warnings if renderer.form in ("table", "csv") else []:
            context.say(f"warning: {warning}")
        return int(result.code)
    except SystemExit as error:  # --help
        return int(error.code or 0)
    except BrokenPipeError:
        _drop_stdout()
        return int(Exit.OK)
    except KeyboardInterrupt:
        return _report(OperatorError(Exit.INTERRUPTED, "interrupted", retryable=True, hint=AGAIN), args)
    except OperatorError as error:
        return _report(error, args)
    except ModuleNotFoundError as error:
        message = f"the Python package {error.name!r} is not installed for {sys.executable}"
        return _report(OperatorError(Exit.CONFIG, message, hint=INSTALL), args)
    except Exception as error:  # the last resort: a defect must still end with the contract's error object
        if args is not None and args.verbose:
            import traceback

            sys.stderr.write(redact_text(traceback.format_exc()))
        message = f"unexpected {type(error).__name__}: {error}"
        return _report(OperatorError(Exit.ERROR, message, hint="run again with --verbose for a traceback"), args)


def _drop_stdout() -> None:
    """Nobody reads on: let what is still buffered go nowhere, or the exit would fail on it again with code 120."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(job: Job, args: argparse.Namespace, context: Context, renderer: Renderer) -> Result:
    try:
        result = job(args, context)
    except OperatorError as error:
        stale = renderer.output is not None and renderer.form in ("json", "ndjson")
        if error.data is not None or stale:  # no earlier success may be read as this run's
            try:
                renderer.render(Result(error.data, code=error.code), context.meta)
            except (OperatorError, OSError) as lost:  # the failure itself matters more than its report
                if isinstance(lost, BrokenPipeError):
                    _drop_stdout()
                context.say(f"the report could not be written: {lost}")
        raise
    renderer.render(result, context.meta)
    return result


def _catch_signals(*, graceful: bool) -> None:
    """SIGINT and SIGTERM end a reading command at once, and a writing one at its next safe point."""

    def handle(*_: object) -> None:
        if not graceful or limits.STOP.is_set():
            raise KeyboardInterrupt
        limits.STOP.set()

    limits.STOP.clear()
    with contextlib.suppress(ValueError):  # not the main thread: the caller keeps its own handlers
        signal.signal(signal.SIGINT, handle)
        signal.signal(signal.SIGTERM, handle)


def _report(error: OperatorError, args: argparse.Namespace | None) -> int:
    """Write the error object (one plain line on a terminal)."""
    if sys.stderr.isatty():
        hint = f"\n  hint: {error.hint}" if error.hint else ""
        sys.stderr.write(redact_text(f"error: {error.message} [{error.code.name}]{hint}") + "\n")
    else:
        sys.stderr.write(to_line({"ok": False, "error": error.as_dict()}) + "\n")
    if args is not None and args.verbose and error.__cause__ is not None:
        sys.stderr.write(redact_text(f"caused by {type(error.__cause__).__name__}: {error.__cause__}") + "\n")
    return int(error.code)
