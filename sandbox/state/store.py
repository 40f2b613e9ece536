"""All state of the sandbox: documents by kind and id, held in memory and written through to SQLite."""

from __future__ import annotations

import copy
import json
import sqlite3
from pathlib import Path
from typing import Any

Doc = dict[str, Any]
Snapshot = dict[str, dict[int, Doc]]

INDEXED = {
    "metrics": ("resource_id",),
    "logs": ("origin_node_id",),
    "sources": ("flow_node_id",),
    "nexsets": ("data_source_id", "parent_data_set_id", "flow_node_id"),
    "sinks": ("data_set_id", "flow_node_id"),
    "batches": ("data_set_id",),
}
FIRST_FREE_ID = 5001  # below it lies room for the demo's fixed ids


class Store:
    """A small document store. Callers hold the world's lock; a document that was changed must be put again."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS doc (kind TEXT, id INTEGER, body TEXT, PRIMARY KEY (kind, id)) WITHOUT ROWID"
        )
        self._kinds: Snapshot = {}
        self._next: dict[str, int] = {}
        self._highest: dict[str, int] = {}
        self._index: dict[tuple[str, str, Any], dict[int, Doc]] = {}
        self._indexed: dict[tuple[str, str, int], Any] = {}
        self.versions: dict[str, int] = {}
        for kind, number, body in self._db.execute("SELECT kind, id, body FROM doc ORDER BY kind, id"):
            self._keep(kind, number, json.loads(body))

    def new_id(self, kind: str) -> int:
        """The next free id of a kind; ids are never used again within one life of the process."""
        self._next[kind] = max(self._next.get(kind, FIRST_FREE_ID - 1), self._highest.get(kind, 0)) + 1
        return self._next[kind]

    def put(self, kind: str, doc: Doc) -> Doc:
        """Store a document under its ``id`` (a new one when it has none) and return it."""
        if "id" not in doc:
            doc["id"] = self.new_id(kind)
        self._keep(kind, doc["id"], doc)
        self._db.execute("INSERT OR REPLACE INTO doc VALUES (?, ?, ?)", (kind, doc["id"], json.dumps(doc)))
        return doc

    def _keep(self, kind: str, number: int, doc: Doc) -> None:
        self._kinds.setdefault(kind, {})[number] = doc
        self._highest[kind] = max(self._highest.get(kind, 0), number)
        self.versions[kind] = self.versions.get(kind, 0) + 1
        for name in INDEXED.get(kind, ()):
            self._drop(kind, name, number)
            value = doc.get(name)
            self._indexed[kind, name, number] = value
            self._index.setdefault((kind, name, value), {})[number] = doc

    def _drop(self, kind: str, name: str, number: int) -> None:
        if (kind, name, number) in self._indexed:
            self._index[kind, name, self._indexed.pop((kind, name, number))].pop(number, None)

    def get(self, kind: str, number: int | None) -> Doc | None:
        """The document itself, not a copy; None when there is none."""
        return self._kinds.get(kind, {}).get(number) if number is not None else None

    def all(self, kind: str) -> list[Doc]:
        """Every document of a kind, lowest id first."""
        rows = self._kinds.get(kind, {})
        return [rows[number] for number in sorted(rows)]

    def where(self, kind: str, **equal: Any) -> list[Doc]:
        """The documents whose named fields have the given values."""
        name = next((name for name in INDEXED.get(kind, ()) if name in equal), None)
        if name is None:
            rows = self.all(kind)
        else:
            found = self._index.get((kind, name, equal[name]), {})
            rows = [found[number] for number in sorted(found)]
        return [doc for doc in rows if all(doc.get(key) == value for key, value in equal.items())]

    def delete(self, kind: str, number: int) -> None:
        self._kinds.get(kind, {}).pop(number, None)
        self.versions[kind] = self.versions.get(kind, 0) + 1
        for name in INDEXED.get(kind, ()):
            self._drop(kind, name, number)
        self._db.execute("DELETE FROM doc WHERE kind = ? AND id = ?", (kind, number))

    def commit(self) -> None:
        self._db.commit()

    def snapshot(self) -> Snapshot:
        """A deep copy of everything."""
        return copy.deepcopy(self._kinds)

    def restore(self, snapshot: Snapshot) -> None:
        """Replace everything by a snapshot."""
        self._kinds, self._index, self._indexed = {}, {}, {}
        for kind, rows in copy.deepcopy(snapshot).items():
            for number, doc in rows.items():
                self._keep(kind, number, doc)
        self._db.execute("DELETE FROM doc")
        self._db.executemany(
            "INSERT INTO doc VALUES (?, ?, ?)",
            [(kind, number, json.dumps(doc)) for kind, rows in self._kinds.items() for number, doc in rows.items()],
        )
        self._db.commit()

    def close(self) -> None:
        self._db.commit()
        self._db.close()
