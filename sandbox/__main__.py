"""Start the sandbox: ``python -m sandbox [--port 0] [--data DIR] [--empty]``.

Prints ``export NEXLA_API_URL=…`` and ``export NEXLA_SERVICE_KEY=…`` lines, then ``ready``, and serves until SIGINT or
SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import shutil
import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import uvicorn

from sandbox.engine.runner import Engine
from sandbox.resources import (  # noqa: F401 - each registers its routes
    access,
    audit,
    code,
    connectors,
    credentials,
    flows,
    lookups,
    metrics,
    nexsets,
    notifications,
    people,
    projects,
    runs,
    sinks,
    sources,
    teams,
)
from sandbox.server.app import App
from sandbox.server.control import Control
from sandbox.server.faults import Faults, Protocol
from sandbox.state.seed import DEMO, EMPTY, seed_demo, seed_people
from sandbox.state.world import World

HOST = "127.0.0.1"


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="A local Nexla for rehearsals and tests.")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one (default)")
    parser.add_argument("--host", default=HOST, help="must be a loopback address (default 127.0.0.1)")
    parser.add_argument("--data", type=Path, help="folder for state and data (default: a new temporary one)")
    parser.add_argument("--empty", action="store_true", help="start without the demo flows")
    parser.add_argument("--parent", type=int, help="stop when the process with this id is gone")
    return parser


def build_world(data: Path, key: str, *, empty: bool) -> tuple[World, Engine]:
    """A world with its running engine; a data folder that already holds state is used as it is."""
    world = World(data)
    world.engine = engine = Engine(world)
    world.initial_seed = DEMO
    if world.store.all("users"):
        world.seeds = {EMPTY: world.store.snapshot(), DEMO: world.store.snapshot()}
    else:
        seed_people(world, key)
        world.seeds[EMPTY] = world.store.snapshot()
        seed_demo(world)
        world.seeds[DEMO] = world.store.snapshot()
        world.initial_seed = EMPTY if empty else DEMO
        world.store.restore(world.seeds[world.initial_seed])
    engine.start()
    return world, engine


def build_app(world: World) -> App:
    """The application with its control interface, which share the fault rules and the journal."""
    faults, journal = Faults(), list[dict[str, Any]]()
    return App(world, faults, journal, Control(world, faults, journal).handle)


def _watch(parent: int, server: uvicorn.Server) -> None:
    while os.getppid() == parent or _is_alive(parent):
        threading.Event().wait(0.5)
    server.should_exit = True


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def _serve(server: uvicorn.Server, listener: socket.socket, key: str, url: str) -> None:
    task = asyncio.create_task(server.serve([listener]))
    while not server.started and not task.done():
        await asyncio.sleep(0.01)
    print(f"export NEXLA_API_URL={url}\nexport NEXLA_SERVICE_KEY={key}\nready", flush=True)
    await task


def _build_server(world: World) -> uvicorn.Server:
    config = uvicorn.Config(
        build_app(world),
        http=Protocol,
        log_level="error",
        server_header=False,
        date_header=False,  # the sandbox has a clock of its own
        ws="none",
        timeout_graceful_shutdown=1,  # a hanging fault must not keep the process
    )
    return uvicorn.Server(config)


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    if not args.host.startswith("127.") and args.host != "localhost":
        print("the sandbox is for rehearsal: it binds to loopback addresses only", file=sys.stderr)
        return 2
    data = args.data or Path(tempfile.mkdtemp(prefix="nexla-sandbox-"))
    listener = socket.create_server((args.host, args.port))
    world, engine = build_world(data, f"sandbox-{secrets.token_urlsafe(24)}", empty=args.empty)
    world.url = f"http://{args.host}:{listener.getsockname()[1]}/nexla-api"
    server = _build_server(world)
    if args.parent:
        threading.Thread(target=_watch, args=(args.parent, server), daemon=True).start()
    print(f"# nexla sandbox, data in {data}", file=sys.stderr)
    asyncio.run(_serve(server, listener, world.store.all("users")[0]["service_key"], world.url))
    engine.stop()
    engine.join(5)
    world.store.close()
    if not args.data:
        shutil.rmtree(data, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
