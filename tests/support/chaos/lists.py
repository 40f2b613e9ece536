"""Lists as an unhelpful server gives them: late, capped, in disorder, without totals or tags."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable
from datetime import datetime
from typing import Any

from support.chaos.schedules import Traits

Row = dict[str, Any]
Fetch = Callable[[str, dict[str, str]], list[Row]]
PAGING = ("page", "per_page")
LISTS = ("/data_sources", "/data_sets", "/data_sinks", "/data_credentials", "/transforms", "/attribute_transforms",
         "/code_containers")  # fmt: skip


def nfc(value: Any) -> Any:
    return unicodedata.normalize("NFC", value) if isinstance(value, str) else value


class Lists:
    """The rows of a list as the client sees them.

    Args:
        fetch: all rows of a list path with these filters, as the server has them now.
        wall: the time, in epoch seconds.
    """

    def __init__(self, traits: Traits, seed: int, fetch: Fetch, wall: Callable[[], float]) -> None:
        self.traits, self._fetch, self._wall = traits, fetch, wall
        self._began = wall()
        self._disorder = random.Random(seed)
        self._shuffled = 0
        self._deleted: dict[str, list[tuple[float, Row]]] = {}

    def before_delete(self, path: str, resource_id: int) -> Row | None:
        """The row as lists show it, to be kept if it is deleted now."""
        rows = self._fetch(path, {})
        return next((row for row in rows if row["id"] == resource_id), None)

    def deleted(self, path: str, row: Row | None) -> None:
        if row is not None:
            self._deleted.setdefault(path, []).append((self._wall(), row))

    def page(self, path: str, query: dict[str, str]) -> tuple[list[Row], dict[str, str]]:
        """The page that a request asks for, and its headers."""
        filters = {key: value for key, value in query.items() if key not in PAGING}
        if self.traits.nfc and "name" in filters:
            filters["name"] = nfc(filters["name"])
        rows = [self._bare(row) for row in self._seen(path, self._fetch(path, filters), filters)]
        headers = {} if self.traits.no_total else {"X-Total-Count": str(len(rows))}
        if not set(PAGING) & set(query) and not self.traits.cap:
            return rows, headers
        number, size = int(query.get("page", 1)), int(query.get("per_page", 10))
        size = min(size, self.traits.cap or size)
        return self._ordered(rows)[(number - 1) * size : number * size], headers

    def _seen(self, path: str, rows: list[Row], filters: dict[str, str]) -> list[Row]:
        now = self._wall()
        seen = [row for row in rows if not self._is_late(row, now)]
        there = {row["id"] for row in rows}
        for at, row in self._deleted.get(path, []):
            fits = filters.get("name", "").lower() in str(row.get("name")).lower()
            if fits and row["id"] not in there and now - at < self.traits.delete_lag:
                seen.append(row)
        return seen

    def _is_late(self, row: Row, now: float) -> bool:
        made = datetime.fromisoformat(row["created_at"].replace("Z", "+00:00")).timestamp()
        return made > self._began and now < made + self.traits.list_lag

    def _bare(self, row: Row) -> Row:
        if not self.traits.bare_rows:
            return row
        return {key: value for key, value in row.items() if key != "tags"}

    def _ordered(self, rows: list[Row]) -> list[Row]:
        if self._shuffled >= self.traits.disorder:
            return rows
        self._shuffled += 1
        return self._disorder.sample(rows, len(rows))
