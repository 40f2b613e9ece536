"""Runs a command: flags, request, settings, job, result, exit code. Every failure ends in one error object."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from helpers.command.last_words import redacted_last_words
from helpers.command.output import OutputOptions, Result, json_line
from helpers.command.parser import CommonOptions, Parser, common_options
from helpers.command.progress import Reporter
from helpers.command.streams import discard, finish_streams, prepare_streams, write_error
from helpers.core import limits
from helpers.core.commands import BUNDLE, connect_by, python_line
from helpers.core.errors import Exit, OperatorError
from helpers.core.redact import redact_text, remember_environment
from helpers.core.settings import Settings, load_settings

RUN_AGAIN = "run again; a command that writes takes --resume"


def _always(_: Any) -> bool:
    return True


class Command(NamedTuple):
    """A command.

    Attributes:
        name: the script's name without ``.py``.
        job: ``module:function`` of the job; the function takes the request and a Context, and returns a Result.
        connects: whether a request needs Nexla, and therefore settings; an offline request does not.
    """

    name: str
    job: str
    connects: Callable[[Any], bool] = _always


BuildRequest = Callable[[argparse.Namespace], Any]
Meta = Callable[[], dict[str, Any]]


def main(command: Command, parser: Parser, build_request: BuildRequest, argv: Sequence[str] | None) -> int:
    """Run a command.

    Args:
        command: the command to run.
        parser: its parser.
        build_request: checks the flags and returns the command's immutable request; nothing else sees the flags.
        argv: the arguments; None for those of the process.

    Returns:
        The exit code.
    """
    with redacted_last_words():
        remember_environment(os.environ)  # all of it: a proxy's password can be in any message
        return _run(command, parser, build_request, argv)


def _run(command: Command, parser: Parser, build_request: BuildRequest, argv: Sequence[str] | None) -> int:
    options: CommonOptions | None = None
    output: OutputOptions | None = None
    meta: Meta = dict
    prepare_streams()
    try:
        args = parser.parse_args(argv)
        options = common_options(args)
        connect_by(options.env_file)
        _catch_signals(graceful=hasattr(args, "resume"))
        output = OutputOptions.from_args(args)
        request = build_request(args)
        reporter = Reporter(quiet=options.quiet)
        settings = _settings(options, reporter) if command.connects(request) else None
        if settings is not None:
            settings = settings._replace(dry_run=getattr(args, "dry_run", False))
        context = _load("helpers.command.context:Context")(options, parser.invocation(args), reporter, settings)
        meta = context.meta
        result: Result = _load(command.job)(request, context)
        _show(command.name, output, result, meta)
        for warning in result.warnings if output.form in ("table", "csv") else []:
            reporter.report(f"warning: {warning}")
        return int(result.code)
    except SystemExit as error:  # --help, --version
        return int(error.code or 0)
    except (Exception, KeyboardInterrupt) as error:  # a defect, too, must end in an error object
        known = _as_operator_error(error)
        if output is not None and (known.data is not None or output.may_hold_old_result):
            _show_failure(command.name, output, known, meta)
        return _report_failure(known, error, verbose=options is not None and options.verbose)
    finally:
        finish_streams()


def print_text(text: str) -> int:
    """Print a text that needs neither settings nor a job; returns the exit code."""
    prepare_streams()
    with contextlib.suppress(OSError):
        sys.stdout.write(text)
    finish_streams()
    return int(Exit.OK)


def _load(reference: str) -> Any:
    """Import ``module:name`` at the last moment, so that wrong flags and settings are reported without the SDK."""
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)


def _settings(options: CommonOptions, reporter: Reporter) -> Settings:
    """The validated settings, from the environment or only from the env file.

    Raises:
        OperatorError: CONFIG.
    """
    if options.env_file:
        settings = load_settings(*_load("helpers.core.env_file:read_env_file")(options.env_file))
    else:
        settings = load_settings(os.environ)
    for note in settings.notes:
        reporter.report(f"note: {note}")
    return settings


def _show(command: str, output: OutputOptions, result: Result, meta: Meta) -> None:
    """Write the result; if standard output or the file takes none, write it on standard error.

    Raises:
        OperatorError: CONFIG, when the output file cannot be written.
    """
    try:
        _load("helpers.command.render:render")(command, output, result, meta)
    except BrokenPipeError:  # the reader has seen enough
        discard(sys.stdout)
    except OSError as error:
        discard(sys.stdout)
        _show_instead(command, result, f"standard output cannot be written: {error.strerror}")
    except OperatorError as error:
        if error.code is Exit.CONFIG:
            _show_instead(command, result, error.message)
        raise


def _show_instead(command: str, result: Result, why: str) -> None:
    """Write on standard error what would be lost otherwise. Rows that were read only once are gone."""
    write_error(redact_text(why) + "\n")
    if isinstance(result.data, dict | list):
        write_error(json_line({"command": command, "data": result.data, "warnings": result.warnings}) + "\n")


def _show_failure(command: str, output: OutputOptions, error: OperatorError, meta: Meta) -> None:
    """Write the partial result of a failed command, and replace the file of an earlier, successful run."""
    try:
        _show(command, output, Result(error.data, code=error.code), meta)
    except Exception as lost:  # the failure itself matters more than its report
        write_error(redact_text(f"the report could not be written: {lost}") + "\n")


def _catch_signals(*, graceful: bool) -> None:
    """Let SIGINT, SIGTERM and SIGHUP end a command that reads at once, and one that writes at its next safe point."""

    def handle(*_: object) -> None:
        if not graceful or limits.STOP.is_set():
            raise KeyboardInterrupt
        limits.STOP.set()

    limits.STOP.clear()
    with contextlib.suppress(ValueError):  # not in the main thread: the caller keeps its own handlers
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, handle)


def _report_failure(known: OperatorError, error: BaseException, *, verbose: bool) -> int:
    """Write the error object (or one plain line on a terminal) and return the exit code."""
    if verbose and known is not error:
        write_error(redact_text("".join(traceback.format_exception(error))))
    if sys.stderr.isatty():
        hint = f"\n  hint: {known.hint}" if known.hint else ""
        write_error(redact_text(f"error: {known.message} [{known.code.name}]{hint}") + "\n")
    else:
        write_error(json_line({"ok": False, "error": known.as_dict()}) + "\n")
    if verbose and known.__cause__ is not None:
        write_error(redact_text(f"caused by {type(known.__cause__).__name__}: {known.__cause__}") + "\n")
    return int(known.code)


def _as_operator_error(error: BaseException) -> OperatorError:
    if isinstance(error, OperatorError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return OperatorError(Exit.INTERRUPTED, "interrupted", retryable=True, hint=RUN_AGAIN)
    if isinstance(error, ModuleNotFoundError):
        message = f"the Python package {error.name!r} is not installed for {sys.executable}"
        return OperatorError(
            Exit.CONFIG, message, hint=python_line(["-m", "pip", "install", "-r", BUNDLE / "requirements.txt"])
        )
    message = f"unexpected {type(error).__name__}: {error}"
    return OperatorError(Exit.ERROR, message, hint="run again with --verbose for a traceback")
