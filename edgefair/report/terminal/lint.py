"""`edgefair lint` in the terminal."""

from pathlib import Path

import click


def print_findings(file: Path, groups: list[dict], target: str | None) -> None:
    if not groups:
        click.echo(f"{file}: nothing found for {target or 'any target'}")
    for group in groups:
        nodes = [node for node in group["nodes"] if node] or ["the whole file"]
        shown = ", ".join(nodes[:3]) + (f" and {len(nodes) - 3} more" if len(nodes) > 3 else "")
        click.echo(f"{group['severity']:8} {', '.join(group['targets'])}: {group['message']} [{group['rule']}]")
        click.echo(f"         {shown}")
