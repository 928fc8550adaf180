"""What the audits let pass, each with its reason: `infra/audit/allowed.yaml`."""

from datetime import date
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

PATH = Path(__file__).with_name("allowed.yaml")


class AllowedError(ValueError):
    """The file cannot be read as what it should be."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    reason: str = Field(min_length=10)


class Secret(_Entry):
    """A text that looks like a secret and is none."""

    file: str
    kind: str = Field(description="as detect-secrets names it")
    sha1: str = Field(pattern=r"^[0-9a-f]{40}$", description="of the text: another text in its place is a new finding")


class Advisory(_Entry):
    """A known weakness of a package that is lived with for a while."""

    id: str = Field(description="any of the advisory's names: PYSEC-..., CVE-..., GHSA-...")
    package: str
    until: date = Field(description="the last day; after it the finding counts again")


class Allowed(BaseModel):
    """Everything that is let pass."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    secrets: tuple[Secret, ...] = ()
    advisories: tuple[Advisory, ...] = ()


def read(path: Path = PATH) -> Allowed:
    """The file, checked.

    Raises:
        AllowedError: it is not readable, or an entry lacks something, its reason included.
    """
    try:
        return Allowed.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except (OSError, yaml.YAMLError) as error:
        raise AllowedError(f"{path}: cannot be read ({' '.join(str(error).split())})") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise AllowedError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
