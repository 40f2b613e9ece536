"""The documents of the sandbox, by kind and id, held in memory and written through to SQLite."""

from __future__ import annotations

import copy
import json
import sqlite3
from pathlib import Path
from typing import Any

Doc = dict[str, Any]
Snapshot = dict[str, dict[int, Doc]]  # kind → id → document

INDEXED = {
    "metrics": ("resource_id",),
    "logs": ("origin_node_id",),
    "sources": ("flow_node_id",),
    "nexsets": ("data_source_id", "parent_data_set_id", "flow_node_id"),
    "sinks": ("data_set_id", "flow_node_id"),
    "batches": ("data_set_id",),
}
FIRST_FREE_ID = 5001  # lower ids are left to the demo, whose ids are fixed


class Store:
    """A small document store. Callers hold the world's lock, and put a document again after they have changed it."""

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
        self._index: dict[tuple[str, str, Any], dict[int, Doc]] = {}  # kind, field, value → documents
        self._indexed: dict[tuple[str, str, int], Any] = {}  # kind, field, id → the value it is indexed under
        self._versions: dict[str, int] = {}
        for kind, doc_id, body in self._db.execute("SELECT kind, id, body FROM doc ORDER BY kind, id"):
            self._hold(kind, doc_id, json.loads(body))

    def new_id(self, kind: str) -> int:
        """The next free id of a kind. An id is never given twice while the process lives."""
        self._next[kind] = max(self._next.get(kind, FIRST_FREE_ID - 1), self._highest.get(kind, 0)) + 1
        return self._next[kind]

    def put(self, kind: str, doc: Doc) -> Doc:
        """Store a document under its ``id``, which it gets if it has none, and return it."""
        if "id" not in doc:
            doc["id"] = self.new_id(kind)
        self._hold(kind, doc["id"], doc)
        self._db.execute("INSERT OR REPLACE INTO doc VALUES (?, ?, ?)", (kind, doc["id"], json.dumps(doc)))
        return doc

    def _hold(self, kind: str, doc_id: int, doc: Doc) -> None:
        self._kinds.setdefault(kind, {})[doc_id] = doc
        self._highest[kind] = max(self._highest.get(kind, 0), doc_id)
        self._versions[kind] = self.version(kind) + 1
        for name in INDEXED.get(kind, ()):
            self._unindex(kind, name, doc_id)
            value = doc.get(name)
            self._indexed[kind, name, doc_id] = value
            self._index.setdefault((kind, name, value), {})[doc_id] = doc

    def _unindex(self, kind: str, name: str, doc_id: int) -> None:
        if (kind, name, doc_id) in self._indexed:
            self._index[kind, name, self._indexed.pop((kind, name, doc_id))].pop(doc_id, None)

    def get(self, kind: str, doc_id: int | None) -> Doc | None:
        """The document itself, not a copy; None when there is none."""
        return self._kinds.get(kind, {}).get(doc_id) if doc_id is not None else None

    def kinds(self) -> list[str]:
        """The kinds that have had documents."""
        return list(self._kinds)

    def all(self, kind: str) -> list[Doc]:
        """Every document of a kind, lowest id first."""
        rows = self._kinds.get(kind, {})
        return [rows[doc_id] for doc_id in sorted(rows)]

    def where(self, kind: str, **fields: Any) -> list[Doc]:
        """The documents that have these values in these fields, lowest id first."""
        name = next((name for name in INDEXED.get(kind, ()) if name in fields), None)
        if name is None:
            rows = self.all(kind)
        else:
            found = self._index.get((kind, name, fields[name]), {})
            rows = [found[doc_id] for doc_id in sorted(found)]
        return [doc for doc in rows if all(doc.get(key) == value for key, value in fields.items())]

    def version(self, kind: str) -> int:
        """A number that grows with every change to documents of a kind."""
        return self._versions.get(kind, 0)

    def delete(self, kind: str, doc_id: int) -> None:
        """Delete a document, if there is one."""
        self._kinds.get(kind, {}).pop(doc_id, None)
        self._versions[kind] = self.version(kind) + 1
        for name in INDEXED.get(kind, ()):
            self._unindex(kind, name, doc_id)
        self._db.execute("DELETE FROM doc WHERE kind = ? AND id = ?", (kind, doc_id))

    def commit(self) -> None:
        """Write everything through to the file."""
        self._db.commit()

    def snapshot(self) -> Snapshot:
        """A deep copy of everything."""
        return copy.deepcopy(self._kinds)

    def restore(self, snapshot: Snapshot) -> None:
        """Replace everything by a snapshot."""
        self._versions = {kind: version + 1 for kind, version in self._versions.items()}
        self._kinds, self._index, self._indexed = {}, {}, {}
        for kind, rows in copy.deepcopy(snapshot).items():
            for doc_id, doc in rows.items():
                self._hold(kind, doc_id, doc)
        self._db.execute("DELETE FROM doc")
        self._db.executemany(
            "INSERT INTO doc VALUES (?, ?, ?)",
            [(kind, doc_id, json.dumps(doc)) for kind, rows in self._kinds.items() for doc_id, doc in rows.items()],
        )
        self._db.commit()

    def close(self) -> None:
        """Commit and close the file."""
        self._db.commit()
        self._db.close()
