#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "nexla-sdk>=1.0.8,<2",
#   "python-dateutil>=2.9",
#   "requests>=2.32",
#   "tenacity>=9",
#   "rich>=13",
#   "jsonschema>=4.23",
#   "jolt-py>=2",
#   "python-dotenv>=1",
#   "croniter>=6",
# ]
# ///
"""Flow logs of the latest, a failed or a named run; of a time window; or of a failed run beside the last good one."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from helpers.command import cli
from helpers.command.output import Result
from helpers.core.errors import Exit, OperatorError, usage

if TYPE_CHECKING:
    from helpers.api.flow_lookup import Target
    from helpers.core.kinds import Row

COMMAND = "get_resource_logs"
COLUMNS = ("time", "severity", "resource", "text")
SEVERITIES = ("INFO", "WARNING", "ERROR")
MODES = ("run_id", "failed", "last", "since", "compare_with_last_good", "follow")


def build_parser() -> argparse.ArgumentParser:
    example = "python scripts/get_resource_logs.py --resource-type data_sets --resource-id 123"
    parser = cli.build_parser(COMMAND, __doc__ or "", example)
    cli.add_target_flags(parser)
    add = parser.add_argument
    add("--run-id", type=int, metavar="MS", help="this run (epoch milliseconds)")
    add("--failed", action="store_true", help="the latest run in which anything of the flow had errors")
    add("--last", type=int, metavar="N", help="the N latest runs")
    add("--since", metavar="TIME", help="24h, 7d, 2026-11-01, ISO 8601, epoch seconds or milliseconds")
    add("--until", metavar="TIME", help="likewise; default now")
    add("--severity", type=str.upper, choices=SEVERITIES, help="this severity and worse")
    add("--grep", metavar="REGEX", help="lines whose text matches")
    add("--own", action="store_true", help="only lines of this resource; default: of the whole flow")
    add("--summary", action="store_true", help="records and errors of each resource, from the SUMMARY lines")
    add("--follow", action="store_true", help="show lines as they come until the latest run ends, or --timeout")
    add("--compare-with-last-good", action="store_true", help="a failed run beside the last good one before it")
    return parser


def get_resource_logs(args: argparse.Namespace, context: cli.Context) -> Result:
    """Log lines, oldest first; ``meta.runs`` names the runs. Exit 5 without a run, 10 for a run without lines."""
    _check(args)
    session = context.session
    from helpers.api.flow_lookup import find_target
    from helpers.core.times import to_ms

    now = session.server_time()
    since = to_ms(args.since, now) if args.since is not None else None
    until = to_ms(args.until, now) if args.until is not None else None
    if since is not None and since >= (until if until is not None else now * 1000):
        raise usage("--since is not before --until (now, if it is not given)")
    target = find_target(session, args)
    if args.compare_with_last_good:
        from helpers.monitor.compare_runs import compare

        return compare(session, target, args.run_id, args.workers)
    runs = [] if since is not None else _runs(args, context, target)
    result = Result([], {"type": target.kind.name, "id": target.id, "runs": runs}, columns=COLUMNS)
    if args.follow:
        from helpers.monitor.follow import follow

        rows = follow(session, target, runs[0], result, context.say)
    else:
        rows = _read(context, target, runs, since, until, result)
    lines = _first(rows, runs, result)
    if args.run_id is not None and not args.known_run:
        first = next(lines, None)
        if first is None:
            raise _no_run(target, f"has no run {args.run_id}, as far as is known")
        lines = chain([first], lines)
    wanted = _kept(args, target, lines)
    if args.summary:
        from helpers.api.logs import summaries

        sums = summaries(wanted)
        if not sums:
            result.warnings.append("no resource has written a summary: see the lines themselves, without --summary")
        return Result(sums, result.meta, result.warnings, result.code)
    result.data, result.live = _counted(wanted, result), args.follow
    return result


def _check(args: argparse.Namespace) -> None:
    """Raises: OperatorError, USAGE."""
    from helpers.core.kinds import checked_id, kind_of

    kind_of(args.resource_type)
    if args.resource_id is not None:
        checked_id(args.resource_id, "--resource-id")
    modes = [name for name in MODES if getattr(args, name) not in (None, False)]
    if len(modes) > 1 and set(modes) != {"run_id", "compare_with_last_good"}:
        raise usage(f"--{modes[0].replace('_', '-')} and --{modes[1].replace('_', '-')} exclude each other")
    if args.run_id is not None and args.run_id < 1:
        raise usage("--run-id must be a positive number")
    if args.until is not None and args.since is None:
        raise usage("--until needs --since")
    if args.last is not None and not 1 <= args.last <= 100:
        raise usage("--last must be 1 to 100")
    if args.grep is not None:
        try:
            re.compile(args.grep)
        except re.error as error:
            raise usage(f"--grep is not a regular expression: {error}") from error


def _runs(args: argparse.Namespace, context: cli.Context, target: Target) -> list[int]:
    """The ids of the wanted runs, newest first.

    Raises:
        OperatorError: NOT_FOUND, when there is no such run.
    """
    from helpers.api.runs import known_run_ids, member_runs

    unread: list[str] = []
    runs = member_runs(context.session, target.flow, workers=args.workers, unread=unread)
    for text in unread:
        context.say(f"could not be read: {text}")
    if args.run_id is not None:
        args.known_run = args.run_id in known_run_ids(target.flow, runs)
        return [args.run_id]
    if args.failed:
        bad = {run.id for rows in runs.values() for run in rows if run.errors}
        if not bad:
            raise _no_run(target, "has had no run with errors, as far as its run summaries go back")
        return [max(bad)]
    known = known_run_ids(target.flow, runs)
    if not known:
        raise _no_run(target, "has never run")
    return known[: args.last or 1]


def _no_run(target: Target, text: str) -> OperatorError:
    words = f"--resource-type {target.kind.name} --resource-id {target.id}"
    hint = f"python scripts/operate_flow.py --operation status {words}"
    resource = {"type": target.kind.name, "id": target.id}
    return OperatorError(Exit.NOT_FOUND, f"{target.kind.singular} {target.id} {text}", hint=hint, resource=resource)


def _read(
    context: cli.Context, target: Target, runs: list[int], since: int | None, until: int | None, result: Result
) -> Iterator[Row]:
    from helpers.api.logs import EARLY, read_lines

    warn = result.warnings.append
    if since is not None:
        return read_lines(context.session, target.api, target.member.id, since=since, until=until, warn=warn)
    return (
        line
        for run in sorted(runs)
        for line in read_lines(context.session, target.api, target.member.id, run_id=run, since=run - EARLY, warn=warn)
    )


def _first(rows: Iterator[Row], runs: list[int], result: Result) -> Iterator[Row]:
    """The lines again; when there is not one, that is said and ends with FINDINGS."""
    first = next(rows, None)
    if first is None:
        what = f"run {', '.join(map(str, runs))}" if runs else "this time"
        result.warnings.append(f"there is no log line for {what}: it may be too old, or have only begun")
        result.code = Exit.FINDINGS
        return
    yield first
    yield from rows


def _kept(args: argparse.Namespace, target: Target, lines: Iterator[Row]) -> Iterator[Row]:
    from helpers.api.logs import belongs_to

    least = SEVERITIES.index(args.severity) if args.severity else 0
    pattern = re.compile(args.grep) if args.grep else None
    for line in lines:
        severity = line["severity"]
        if severity in SEVERITIES and SEVERITIES.index(severity) < least:
            continue
        if pattern and not pattern.search(str(line["text"])):
            continue
        if args.own and not belongs_to(line, target.member):
            continue
        yield line


def _counted(lines: Iterator[Row], result: Result) -> Iterator[Row]:
    count = 0
    for count, line in enumerate(lines, 1):  # noqa: B007 - the number of lines is wanted after the last
        yield line
    result.meta["returned"] = count
    if not count and result.code is Exit.OK:
        result.warnings.append("there are log lines, but none passes the filters")


def main(argv: Sequence[str] | None = None) -> int:
    return cli.main(COMMAND, build_parser(), get_resource_logs, argv)


if __name__ == "__main__":
    raise SystemExit(main())
