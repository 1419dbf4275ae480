"""Conditions of Brokers and Triggers, as `kn` shows them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from warmfront.kube.resources import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One condition: true, or false with a one-word reason and a message that says what to do."""

    true: bool = True
    reason: str = ""
    message: str = ""


def conditions(facts: Mapping[str, Fact], before: Json, now: str) -> list[Json]:
    """All facts and their sum, `Ready`, by name. A condition that kept its status keeps its transition time."""
    known = {condition["type"]: condition for condition in before.get("conditions") or ()}
    ready = next((fact for fact in facts.values() if not fact.true), Fact())
    found = []
    for name, fact in sorted({**facts, "Ready": ready}.items()):
        status = "True" if fact.true else "False"
        same = name in known and known[name]["status"] == status
        condition = {
            "type": name,
            "status": status,
            "lastTransitionTime": known[name]["lastTransitionTime"] if same else now,
        }
        if fact.reason and not (name == "Ready" and fact.true):
            condition |= {"reason": fact.reason, "message": fact.message}
        found.append(condition)
    return found
