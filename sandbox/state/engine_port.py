"""What the state and the request handlers need from the engine, so that neither has to import it."""

from __future__ import annotations

from typing import Protocol

from sandbox.state.store import Doc


class EnginePort(Protocol):
    """The engine as the rest of the sandbox sees it. Callers hold the world's lock."""

    def start_run(self, source: Doc) -> int:
        """Start a run of a source and return its run id."""

    def move(self, source_id: int) -> None:
        """Move records that were read earlier on through the source's flow."""

    def is_reading(self, source_id: int) -> bool:
        """Whether a run of the source still has to read its data."""

    def busy(self) -> bool:
        """Whether any job is waiting or running."""

    def run_all(self) -> None:
        """Run every waiting job now, whatever its due time."""

    def forget(self) -> None:
        """Drop every job and schedule."""
