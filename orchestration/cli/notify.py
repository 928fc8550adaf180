"""`foresight notify`: tell people now what they were not told yet (design §7)."""

from typing import Annotated, Any

import typer

from orchestration.cli.exits import exits, print_json
from orchestration.home import Home


def notify(
    test: Annotated[bool, typer.Option("--test", help="Send a test message through every channel instead.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Tell people of the gates that are not GO, through the channels of notify.yaml; each is told once.

    Dagster's sensor `tell_people` does the same by itself once it is switched on. Exits 1 when a channel failed.

    Example: foresight notify --test
    """
    with exits():
        tried = _tested(Home.find()) if test else _told(Home.find())
    if as_json:
        print_json({"schema": "foresight.notified/1", "tried": tried})
    else:
        for one in tried:
            typer.echo(f"{one['channel']}: {one['about']}: {one['failed'] or 'sent'}")
        if not tried:
            typer.echo("Nothing to tell: every gate that is not GO has been told of, or none is decided.")
    if failed := [one["channel"] for one in tried if one["failed"]]:
        typer.echo(f"foresight: {', '.join(failed)} failed; mend it in notify.yaml and run this again", err=True)
        raise typer.Exit(1)


def _told(home: Home) -> list[dict[str, Any]]:
    import datetime as dt

    from orchestration.lock import hold
    from orchestration.people.channels import sender
    from orchestration.people.notices import due, tell
    from orchestration.people.notify_config import load
    from orchestration.record.opened import decisions

    log, config, send = decisions(home), load(home), sender(home)
    with hold(home.notices_lock, "foresight notify"):
        waiting = list(due(log, config, dt.datetime.now(dt.UTC), at_once=True))
        return [
            {"channel": one.channel.name, "about": one.notice.subject, "key": one.notice.key, "failed": why}
            for one in waiting
            for why in [tell(log, one, send)]
        ]


def _tested(home: Home) -> list[dict[str, Any]]:
    import uuid

    from orchestration.people.channels import sender
    from orchestration.people.notices import Notice
    from orchestration.people.notify_config import load

    send, tried = sender(home), []
    notice = Notice(f"test-{uuid.uuid4()}", "Foresight: a test", "A test of this channel. Nothing was decided.", {})
    for channel in load(home).channels:
        failed = None
        try:
            send(channel, notice)
        except (OSError, RuntimeError) as error:
            failed = str(error)
        tried.append({"channel": channel.name, "about": notice.subject, "key": notice.key, "failed": failed})
    return tried
