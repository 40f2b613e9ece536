"""What reached the server, and what an action ends with."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from helpers.api.session import Session
from helpers.api.writes import Search
from helpers.command.context import Context
from helpers.command.parser import common_options
from helpers.command.progress import Reporter
from helpers.core import limits
from helpers.core.errors import Exit, OperatorError
from helpers.core.settings import load_settings
from support import Sandbox

NOTHING_TO_FIND = Search(lambda: None, lambda: None)  # whatever is created cannot be found afterwards


def session_on(sandbox: Sandbox) -> Session:
    """A session with the sandbox's key, without a deadline or a rate."""
    return Session(load_settings(sandbox.env), limits.Deadline(None), limits.RateLimiter(unlimited=True))


@contextmanager
def job_in_this_process(sandbox: Sandbox, script: str, *words: str, **env: str) -> Iterator[Callable[[], Any]]:
    """A script's job, for many calls: each gives the job's Result, as if the script had been started again."""
    module: Any = importlib.import_module(script.removesuffix(".py"))
    job_module, _, name = module.COMMAND.job.partition(":")
    job = getattr(importlib.import_module(job_module), name)
    parser = module.build_parser()
    args = parser.parse_args(list(words))
    with pytest.MonkeyPatch.context() as patch:
        for key, value in {**sandbox.env, **env}.items():
            patch.setenv(key, value)
        request = module.build_request(args)
        settings = load_settings(sandbox.env)
        context = Context(common_options(args), parser.invocation(args), Reporter(quiet=True), settings)
        yield lambda: job(request, context)


def hits(sandbox: Sandbox, method: str, path: str) -> int:
    return sum((r["method"], r["path"]) == (method, path) for r in sandbox.journal())


def ends_with(code: Exit, action: Callable[[], Any]) -> OperatorError:
    """The error that an action raises, which has this exit code."""
    __tracebackhide__ = True
    with pytest.raises(OperatorError) as caught:
        action()
    error = caught.value
    assert error.code is code, f"{error.code.name}, not {code.name}: {error.message} (hint: {error.hint})"
    return error


def accepts(action: Callable[[], Any]) -> bool:
    """Whether an action is carried out; False when it is refused as wrong usage or a wrong value."""
    try:
        action()
    except (OperatorError, ValueError, argparse.ArgumentTypeError) as error:
        assert not isinstance(error, OperatorError) or error.code is Exit.USAGE, f"{error.code.name}: {error.message}"
        return False
    return True


def parsed(script: str, *words: str) -> Any:
    """A script's flags, as it takes them."""
    module: Any = importlib.import_module(script.removesuffix(".py"))
    return module.build_parser().parse_args(list(words))


def request_of(script: str, *words: str) -> Any:
    """A script's checked request."""
    module: Any = importlib.import_module(script.removesuffix(".py"))
    return module.build_request(parsed(script, *words))
