"""The profile annotation in a manifest file: put in its place, everything else of the file as it was."""

import json
from collections.abc import Mapping
from pathlib import Path

import yaml

from warmfront.domain import Profile
from warmfront.errors import SetupError
from warmfront.kube.manifests import PROFILE, parse_profile, profile_json


def write(path: Path, profiles: Mapping[str, Profile]) -> dict[str, Path]:
    """Write the profiles of Services, by name, into a YAML file or the files of a folder; where each was found.

    Raises SetupError when a file is no YAML, or when none of the Services is there.
    """
    files = sorted(path.rglob("*.yaml")) if path.is_dir() else [path]
    places: dict[str, Path] = {}
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
            changed, names = annotated(text, profiles)
        except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
            raise SetupError(f"{file}: {' '.join(str(error).split())}; wanted a YAML file of manifests") from None
        if names:
            file.write_text(changed, encoding="utf-8")
            places |= dict.fromkeys(names, file)
    if not places:
        raise SetupError(
            f"{path}: found no Service {', '.join(profiles)} in it; wanted the manifests of these variants"
        )
    return places


def annotated(text: str, profiles: Mapping[str, Profile]) -> tuple[str, list[str]]:
    """The text with the annotations in it, and the names of the Services that were found there."""
    lines = text.splitlines(keepends=True)
    names = []
    for document in reversed(list(yaml.compose_all(text, Loader=yaml.SafeLoader))):  # from below: places above stay
        metadata = _child(document, "metadata")
        name = _child(metadata, "name")
        kind = _child(document, "kind")
        if kind is None or kind.value != "Service" or name is None or name.value not in profiles:
            continue
        assert isinstance(metadata, yaml.MappingNode)
        _put(lines, metadata, profiles[name.value])
        names.append(name.value)
    return "".join(lines), names[::-1]


def _put(lines: list[str], metadata: yaml.MappingNode, profile: Profile) -> None:
    margin = metadata.value[0][0].start_mark.column
    annotations = _child(metadata, "annotations")
    if not isinstance(annotations, yaml.MappingNode) or not annotations.value:
        where = _end(metadata.value[0][1])
        for key, value in metadata.value:
            if key.value == "annotations":  # an empty one
                where = key.start_mark.line
                del lines[where : max(_end(value), where + 1)]
        _complete(lines, where)
        lines[where:where] = [" " * margin + "annotations:\n", *_block(profile, margin + 2)]
        return
    indent = annotations.value[0][0].start_mark.column
    for key, value in annotations.value:
        if key.value == PROFILE:
            start = key.start_mark.line
            lines[start : _end(value)] = _block(profile, indent)
            return
    where = _end(annotations.value[-1][1])
    _complete(lines, where)
    lines[where:where] = _block(profile, indent)


def _complete(lines: list[str], where: int) -> None:
    """The line before has to end before another can follow."""
    if 0 < where <= len(lines) and not lines[where - 1].endswith("\n"):
        lines[where - 1] += "\n"


def _block(profile: Profile, indent: int) -> list[str]:
    """The annotation as a literal block, a field a line."""
    fields = json.loads(profile_json(profile))
    shown = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in fields.items()]
    body = "{" + ",\n ".join(shown) + "}"
    parse_profile(body)
    margin = " " * indent
    return [f"{margin}{PROFILE}: |\n", *(f"{margin}  {line}\n" for line in body.splitlines())]


def _end(node: yaml.Node) -> int:
    """The number of the first line after the node: a block ends where the next line begins, all else within a line."""
    mark = node.end_mark
    block = isinstance(node, yaml.ScalarNode) and node.style in {"|", ">"}
    return int(mark.line) + (0 if block or mark.column == 0 else 1)


def _child(node: yaml.Node | None, name: str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == name:
                found: yaml.Node = value
                return found
    return None
