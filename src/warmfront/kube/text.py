"""Kubernetes objects as YAML text that people like to read: fields in their order, long strings as blocks."""

import yaml

from warmfront.kube.resources import Json


class _Dumper(yaml.SafeDumper):
    """Lines of a string stay lines."""


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _string)


def to_yaml(obj: Json) -> str:
    """One document."""
    return yaml.dump(obj, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
