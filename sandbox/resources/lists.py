"""What list endpoints share: filters, sorting and paging."""

from __future__ import annotations

from sandbox.resources.base import visible
from sandbox.server.routing import Request
from sandbox.state.store import Doc

DEFAULT_PAGE_SIZE = 10


def listed(request: Request, kind: str, **columns: str) -> tuple[list[Doc], dict[str, str]]:
    """The page that a request asks for, of the visible documents of a kind, filtered and sorted; with its headers.

    Raises:
        ApiError: 400, a query parameter is malformed.
    """
    return page(request, newest_first(request, filtered(request, visible(request, kind), **columns)))


def filtered(request: Request, rows: list[Doc], **columns: str) -> list[Doc]:
    """The rows that pass the query's filters: ``name`` (a substring), ``status``, ``tags`` (any of them).

    ``columns`` adds filters that take a comma-separated list: parameter → field.
    """
    query = request.query
    if name := query.get("name"):
        rows = [row for row in rows if name.lower() in (row.get("name") or "").lower()]
    if status := query.get("status"):
        rows = [row for row in rows if str(row.get("status", "")).lower() == status.lower()]
    if tags := query.get("tags"):
        wanted = set(tags.split(","))
        rows = [row for row in rows if wanted & set(row.get("tags") or [])]
    for parameter, field in columns.items():
        if value := query.get(parameter):
            allowed = set(value.split(","))
            rows = [row for row in rows if str(row.get(field)) in allowed]
    return rows


def newest_first(request: Request, rows: list[Doc]) -> list[Doc]:
    """The rows by ``created_at`` and id, descending; the query's ``sort_by`` and ``sort_order`` change that."""
    key = request.query.get("sort_by", "created_at")
    descending = request.query.get("sort_order", "DESC").upper() == "DESC"
    return sorted(rows, key=lambda row: (str(row.get(key) or ""), row["id"]), reverse=descending)


def page(request: Request, rows: list[Doc], size_parameter: str = "per_page") -> tuple[list[Doc], dict[str, str]]:
    """The page that a request asks for, and its headers; all rows when it names neither a page nor a size.

    The headers are those of the public server sources: ``X-Page-Count`` counts the rows of the page, and the ``rel`` of
    a link is capitalised.

    Raises:
        ApiError: 400, page or size is not an integer.
    """
    asked_page, asked_size = request.integer("page"), request.integer(size_parameter)
    headers = {"X-Total-Count": str(len(rows))}
    if asked_page is None and asked_size is None:
        return rows, headers
    current, size = max(asked_page or 1, 1), max(asked_size or DEFAULT_PAGE_SIZE, 1)
    cap = request.world.settings["max_per_page"]
    size = min(size, cap) if cap else size
    part = rows[(current - 1) * size : current * size]
    pages = -(-len(rows) // size)
    headers |= {
        "X-Current-Page": str(current),
        "X-Page-Count": str(len(part)),
        "X-Total-Page-Count": str(pages),
    }
    links = [("Previous", current - 1)] if current > 1 else []
    links += [("Next", current + 1)] if current < pages else []
    if links:
        url = request.world.url + request.path
        headers["Link"] = ", ".join(f'<{url}?page={n}&per_page={size}>; rel="{rel}"' for rel, n in links)
    return part, headers
