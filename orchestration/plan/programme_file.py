"""A YAML file into a pydantic model, with errors a person can act on: file, line, key, what is allowed.

A key given twice is refused: YAML itself would keep the last one in silence.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)
Loc = tuple[str | int, ...]


class ProgrammeError(ValueError):
    """A programme file that cannot be used, in one line."""


def read(path: Path, model: type[Model]) -> Model:
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, yaml.SafeLoader)
        content = yaml.safe_load(text)
    except OSError as error:
        raise ProgrammeError(f"{path}: cannot be read ({error.strerror}); give the path of a programme.yaml") from None
    except UnicodeDecodeError:
        raise ProgrammeError(f"{path}: not UTF-8 text; give the path of a programme.yaml") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise ProgrammeError(f"{path}: {line}not YAML: {getattr(error, 'problem', error)}") from None
    lines: dict[tuple[str, ...], int] = {}
    if root is not None:
        _number(path, root, (), lines)
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        loc = tuple(first.get("ctx", {}).get("at", "").split("/")) if first["type"] == "contradiction" else first["loc"]
        raise ProgrammeError(f"{path}: {_line(lines, loc)}{_message(model, first | {'loc': loc})}") from None


def _number(path: Path, node: yaml.Node, where: tuple[str, ...], lines: dict[tuple[str, ...], int]) -> None:
    """The line of every key and item below a node."""
    lines.setdefault(where, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*where, str(key.value))
            if inner in lines:
                line = key.start_mark.line + 1
                raise ProgrammeError(
                    f"{path}: line {line}: {'.'.join(inner)}: given twice, first on line {lines[inner]}"
                )
            lines[inner] = key.start_mark.line + 1
            _number(path, value, inner, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _number(path, value, (*where, str(index)), lines)


def _line(lines: dict[tuple[str, ...], int], loc: Loc) -> str:
    """The line of a key, or of the nearest thing around it that the file has."""
    where = tuple(str(part) for part in loc if part != "[key]")
    while where and where not in lines:
        where = where[:-1]
    return f"line {lines[where]}: " if where in lines else ""


def _message(model: type[BaseModel], error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"] if part != "[key]")
    text = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        allowed = _keys(model, error["loc"][:-1])
        text = f"unknown key; allowed: {', '.join(allowed)}"
    elif error["type"] == "missing":
        text = "missing"
    return f"{key}: {text}" if key else text


def _keys(annotation: Any, loc: Loc) -> list[str]:
    """The keys a model allows at a place: walks fields, items and values as the place names them."""
    models = [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []
    if not loc:
        return [field.alias or name for model in models for name, field in model.model_fields.items()]
    if models:
        fields = {field.alias or name: field.annotation for name, field in models[0].model_fields.items()}
        return _keys(fields.get(str(loc[0])), loc[1:])
    inner = [part for part in get_args(annotation) if part is not type(None)]
    if not inner:
        return []
    if _is_container(annotation):
        return _keys(inner[-1], loc[1:])
    return _keys(inner[0], loc)


def _is_container(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) in (list, dict, tuple)
