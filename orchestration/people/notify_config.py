"""config/notify.yaml as a typed, closed value: who is told, through which channels. It holds no secret (design §7)."""

import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, StringConstraints, model_validator

from orchestration.documents import Verdict
from orchestration.home import REPOSITORY, Home
from orchestration.plan.programme_file import read

DEFAULT_PATH = REPOSITORY / "config" / "notify.yaml"
ENVIRONMENT = "FORESIGHT_NOTIFY"

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")]
Address = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$")]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileChannel(Part):
    """A line of JSON a notice, at the end of a file."""

    name: Text
    kind: Literal["file"]
    path: Path


class WebhookChannel(Part):
    """A POST of JSON. Its `text` is what chat services show; `Idempotency-Key` is the notice's key."""

    name: Text
    kind: Literal["webhook"]
    url_env: Variable
    timeout_s: float = Field(default=10, gt=0, le=30)


class EmailChannel(Part):
    """A plain message; its Message-ID is made of the notice's key."""

    name: Text
    kind: Literal["email"]
    host: Text
    port: PositiveInt
    security: Literal["starttls", "tls", "none"]
    sender: Address
    recipients: Annotated[list[Address], Field(min_length=1)]
    user_env: Variable | None = None
    password_env: Variable | None = None
    timeout_s: float = Field(default=10, gt=0, le=30)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.user_env is None) != (self.password_env is None):
            raise ValueError("user_env and password_env go together")
        if self.user_env and self.security == "none":
            raise ValueError("a password is never sent without starttls or tls")
        return self


Channel = Annotated[FileChannel | WebhookChannel | EmailChannel, Field(discriminator="kind")]


class Notify(Part):
    schema_: Literal["foresight.notify/1"] = Field(alias="schema")
    tell_of: list[Verdict]
    attempts: PositiveInt
    channels: list[Channel]

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        names = [channel.name for channel in self.channels]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two channels are called {', '.join(twice)}; a name stands for one")
        return self


class NotifyError(ValueError):
    """Channels that cannot be found."""


def load(home: Home) -> Notify:
    """The channels of a home; what is wrong with them, in one line.

    Raises:
        NotifyError: the file that $FORESIGHT_NOTIFY names is not there.
        ProgrammeError: it says something that it may not.
    """
    return read(_path(home), Notify)


def _path(home: Home) -> Path:
    if given := os.environ.get(ENVIRONMENT):
        path = Path(given).expanduser()
        if not path.is_file():
            raise NotifyError(f"{ENVIRONMENT}={given}: no such file; give the path of a notify.yaml")
        return path
    return home.notify if home.notify.is_file() else DEFAULT_PATH
