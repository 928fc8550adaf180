"""How a notice leaves the house: a line in a file, a POST to a webhook, an e-mail. Each raises unless it was taken."""

import json
import os
import smtplib
import ssl
import urllib.error
import urllib.request
from email.message import EmailMessage
from email.utils import formatdate
from functools import partial
from pathlib import Path

from orchestration.home import Home
from orchestration.people.notices import Notice, Send
from orchestration.people.notify_config import Channel, EmailChannel, FileChannel, WebhookChannel


class ChannelError(RuntimeError):
    """A channel that did not take a notice; the line holds no secret."""


def sender(home: Home) -> Send:
    """The way out for the notices of one home."""
    return partial(_send, home)


def _send(home: Home, channel: Channel, notice: Notice) -> None:
    match channel:
        case FileChannel():
            _append(home.root / channel.path, notice)
        case WebhookChannel():
            _post(channel, notice)
        case EmailChannel():
            _mail(channel, notice)


def _append(path: Path, notice: Notice) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(notice.document(), ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _post(channel: WebhookChannel, notice: Notice) -> None:
    url = _secret(channel.url_env)
    if not url.startswith(("https://", "http://")):
        raise ChannelError(f"${channel.url_env} is no http(s) address")
    headers = {"Content-Type": "application/json", "Idempotency-Key": notice.key, "User-Agent": "foresight"}
    body = json.dumps(notice.document(), ensure_ascii=False).encode()
    try:
        urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=channel.timeout_s).close()
    except urllib.error.HTTPError as error:  # its text would hold the address
        raise ChannelError(f"the webhook of ${channel.url_env} answered {error.code} {error.reason}") from None
    except OSError as error:
        raise ChannelError(f"the webhook of ${channel.url_env} does not answer: {_reason(error)}") from None


def _mail(channel: EmailChannel, notice: Notice) -> None:
    message = EmailMessage()
    message["Subject"], message["From"] = notice.subject, channel.sender
    message["To"], message["Date"] = ", ".join(channel.recipients), formatdate()
    message["Message-ID"] = f"<{notice.key}@{channel.sender.partition('@')[2]}>"
    message.set_content(notice.text)
    try:
        with _connected(channel) as server:
            if channel.user_env and channel.password_env:
                server.login(_secret(channel.user_env), _secret(channel.password_env))
            refused = server.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise ChannelError(f"{channel.host}:{channel.port} did not take it: {_reason(error)}") from None
    if refused:
        raise ChannelError(f"{channel.host}:{channel.port} took it for some only, not for {', '.join(refused)}")


def _connected(channel: EmailChannel) -> smtplib.SMTP:
    if channel.security == "tls":
        trusted = ssl.create_default_context()
        return smtplib.SMTP_SSL(channel.host, channel.port, timeout=channel.timeout_s, context=trusted)
    server = smtplib.SMTP(channel.host, channel.port, timeout=channel.timeout_s)
    if channel.security == "starttls":
        server.starttls(context=ssl.create_default_context())
    return server


def _secret(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise ChannelError(f"${name} is not set; the channel needs it")
    return value


def _reason(error: BaseException) -> str:
    return " ".join(str(getattr(error, "reason", None) or error or type(error).__name__).split())
