"""The HTML report: self-contained, safe, and really sorted and filtered by a browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from helpers.command import html_page
from helpers.monitor import health_report
from support import Exit, Sandbox
from support.children import PATIENCE

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
EVIL = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>"
PROBE = """
<script>
const out = {};
const ids = () => [...document.querySelectorAll("#rows tbody tr")].filter(r => !r.hidden).map(r => r.id);
const head = n => document.querySelectorAll("#rows th button")[n];
out.start = ids();
head(2).click(); out.up = ids(); head(2).click(); out.down = ids();
head(7).click(); out.records = ids();
text.value = "orders"; text.dispatchEvent(new Event("input")); out.filtered = ids();
text.value = ""; choice.value = "unhealthy"; choice.dispatchEvent(new Event("change")); out.unhealthy = ids();
text.value = "no such thing"; text.dispatchEvent(new Event("input")); out.none = document.getElementById("none").hidden;
out.shown = document.getElementById("shown").textContent;
document.title = JSON.stringify(out);
</script>
"""


def row(number: int, verdict: str, name: str, records: int | None) -> dict[str, Any]:
    return {"verdict": verdict, "type": "sources", "id": number, "name": name, "flow": 1230, "status": "ACTIVE",
            "last_run": "2026-11-21T06:00:00.000Z", "records": records, "errors": 0, "issues": [],
            "history": [[n, n * 10, n % 3] for n in range(1, 20)] if records else []}  # fmt: skip


ROWS = [row(9, "unhealthy", "payments", None), row(123, "healthy", "orders", 500), row(45, "unknown", EVIL, 7)]


def browse(page: Path, *flags: str) -> str:
    assert CHROMIUM
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0",
         f"--user-data-dir={page.parent / 'profile'}", *flags, page.as_uri()],
        capture_output=True, text=True, timeout=PATIENCE, env={**os.environ, "HOME": str(page.parent)},
    )  # fmt: skip
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert not console, console
    return done.stdout


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: install Debian's package chromium to run the page")
def test_a_browser_sorts_and_filters_it_without_an_error(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(health_report.page(ROWS, "host", "now").replace("</body>", PROBE + "</body>"))
    dom = browse(page, "--dump-dom", "--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:1")
    found = json.loads(re.findall(r"<title>(.*?)</title>", dom)[0].replace("&gt;", ">").replace("&lt;", "<"))
    assert found["start"] == ["sources-9", "sources-123", "sources-45"]
    assert found["up"] == ["sources-9", "sources-45", "sources-123"]
    assert found["down"] == found["up"][::-1]
    assert found["records"] == ["sources-45", "sources-123", "sources-9"]  # empty ones last
    assert found["filtered"] == ["sources-123"]
    assert found["unhealthy"] == ["sources-9"]
    assert (found["none"], found["shown"]) == (False, "0 of 3")


def test_it_asks_for_nothing_and_runs_nothing_from_the_api() -> None:
    page = health_report.page(ROWS, "host", "now")
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", page)
    assert "default-src 'none'" in page
    assert "<img" not in page
    assert page.count("<script>") == 1
    assert "&lt;script&gt;alert(1)" in page


class Markup(HTMLParser):
    """The elements of a page with the names of their attributes; and the values of those that hold a text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, list[str]]] = []
        self.values: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, [name for name, _ in attrs]))
        self.values += [value or "" for name, value in attrs if name.startswith("data-")]


@pytest.mark.parametrize("quote", ['"', "'"])
def test_no_text_breaks_out_of_the_attribute_or_element_that_holds_it(quote: str) -> None:
    def page(text: str) -> Markup:
        line = html_page.Line([html_page.Cell(text, sort=text), html_page.Cell(1, link=f"#{text}")], text, text)
        return Markup(html_page.render(text, text, [(text, text, "good")], [text, text], [line], text))

    evil = f"x{quote} onclick={quote}alert(1){quote} y={quote}<b onclick={quote}alert(2){quote}>"
    assert page(evil).elements == page("x").elements
    assert page(evil).values == [evil if value == "x" else value for value in page("x").values]


def test_bars_show_errors_and_survive_extremes() -> None:
    assert html_page.bars([]) == ""
    svg = html_page.bars([[2, 0, 0], [1, 10**12, 10**12]])
    assert svg.count('class="ok"') == 2
    assert svg.count('class="err"') == 1
    assert "nan" not in svg


def test_the_report_is_private_and_written_completely_or_not_at_all(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "health.html"
    done = sandbox.run("health_check.py", "--all", "--report", str(file)).ends(Exit.FINDINGS)
    assert done.json["meta"]["report"] == str(file)
    text = file.read_text()
    assert text.count("<tr id=") == 12
    links = dict(re.findall(r'<tr id="([a-z]+-123)".*?href="#([a-z]+-123)"', text))
    assert set(links) == set(links.values()) == {"sources-123", "nexsets-123", "destinations-123"}
    assert all(member != neighbour for member, neighbour in links.items())  # from member to member of the flow
    assert file.stat().st_mode & 0o077 == 0
    sandbox.run("health_check.py", "--all", "--report", str(tmp_path / "no" / "x.html")).fails(Exit.CONFIG)


def test_markdown_names_what_is_not_healthy_and_nothing_breaks_out(sandbox: Sandbox) -> None:
    text = health_report.markdown(ROWS, "host", "now")
    assert text.startswith("### Nexla health: 1 unhealthy, 1 unknown, 1 healthy")
    assert "orders" not in text
    assert "<script>" not in text
    done = sandbox.run("health_check.py", "--all", "--format", "markdown")
    assert done.out.startswith("### Nexla health: 9 unhealthy")
    done.ends(Exit.FINDINGS)
