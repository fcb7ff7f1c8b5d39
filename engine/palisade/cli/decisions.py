"""One decision as one line for people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.text import Text


def line(event: Mapping[str, Any]) -> Text:
    """`12:03:01 allow GET /orders/7 -> orders  native  policies/identity/allow.rego:20  alice`."""
    detail = event.get("palisade", {})
    given = event.get("input") or {}
    http = given.get("attributes", {}).get("request", {}).get("http", {})
    allowed = _allowed(event)
    moment = datetime.fromisoformat(event["timestamp"][:26].rstrip("Z") + "+00:00").astimezone()
    text = Text(f"{moment:%X} ", "dim")
    text.append("allow" if allowed else "deny ", "bold green" if allowed else "bold red")
    text.append(f" {http.get('method', '?'):<6} {http.get('path', '?')}", "default")
    text.append(f" -> {detail.get('function', '?')}", "default")
    if detail.get("status"):
        text.append(f"  {detail['status']}")
    text.append(f"  {detail.get('decider', '')}", "cyan")
    if detail.get("rule"):
        text.append(f"  {detail['rule']}", "dim")
    subject = given.get("identity", {}).get("claims", {}).get("sub")
    if subject:
        text.append(f"  {subject}", "dim")
    if "error" in event:
        text.append(f"  {event['error'].get('message', '')}", "yellow")
    return text


def _allowed(event: Mapping[str, Any]) -> bool:
    result = event.get("result")
    return result is True or (isinstance(result, Mapping) and result.get("allowed") is True)
