"""A flow as a Mermaid or Graphviz graph, with the members at fault marked."""

from __future__ import annotations

from helpers.api.flows import Flow, Member, MemberKey
from helpers.core.redact import redact_text

Faults = dict[MemberKey, str]  # the fault of each member that has one


def draw(flow: Flow, faults: Faults, form: str) -> str:
    """The graph as text.

    Args:
        flow: The flow.
        faults: The faults to mark.
        form: ``mermaid`` or ``dot``.
    """
    return _mermaid(flow, faults) if form == "mermaid" else _dot(flow, faults)


def _caption(member: Member, faults: Faults) -> list[str]:
    lines = [f"{member.kind.removesuffix('s')} {member.id}", str(member.name), str(member.status)]
    fault = faults.get(member.key)
    return [redact_text(line) for line in [*lines, *([fault.replace("_", " ")] if fault else [])]]


def _mermaid(flow: Flow, faults: Faults) -> str:
    lines = ["flowchart LR"]
    for member in flow.origin.walk():
        caption = "<br/>".join(_entities(line) for line in _caption(member, faults))
        tone = ":::fault" if member.key in faults else ""
        lines.append(f'  n{member.node_id}["{caption}"]{tone}')
    lines += [f"  n{member.node_id} --> n{child.node_id}" for member in flow.origin.walk() for child in member.children]
    lines.append("  classDef fault fill:#ffd7d5,stroke:#cf222e,stroke-width:3px,color:#1b1f24")
    return "\n".join(lines) + "\n"


def _entities(text: str) -> str:
    """Text with special characters as numeric entities, as Mermaid expects."""
    return "".join(char if char.isalnum() or char in " .,-_" else f"#{ord(char)};" for char in text)


def _dot(flow: Flow, faults: Faults) -> str:
    lines = ["digraph flow {", "  rankdir=LR;", '  node [shape=box, fontname="sans-serif"];']
    for member in flow.origin.walk():
        caption = "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in _caption(member, faults))
        tone = ', color="#cf222e", penwidth=3' if member.key in faults else ""
        lines.append(f'  n{member.node_id} [label="{caption}"{tone}];')
    lines += [f"  n{member.node_id} -> n{child.node_id};" for member in flow.origin.walk() for child in member.children]
    return "\n".join([*lines, "}"]) + "\n"
