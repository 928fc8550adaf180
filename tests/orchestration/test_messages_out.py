"""A message is a line of its own, whatever else the worker prints to the same stream."""

import json
import subprocess
import sys

from dagster_pipes import DAGSTER_PIPES_CONTEXT_ENV_VAR, DAGSTER_PIPES_MESSAGES_ENV_VAR, encode_param

from orchestration.home import REPOSITORY

WORKER = """
import sys
from dagster_pipes import open_dagster_pipes
from orchestration.messages_out import WholeLines
with open_dagster_pipes(message_writer=WholeLines()) as pipes:
    sys.stderr.write(" 40%|####      ")
    sys.stderr.flush()
    sys.stdout.write("half a line")
    pipes.report_custom_message({"type": "result", "result": "x" * 100_000})
"""


def test_a_long_message_behind_a_half_printed_bar_is_a_whole_line():
    context = dict.fromkeys(("partition_key", "partition_key_range", "partition_time_window"))
    data = {**context, "asset_keys": None, "code_version_by_asset_key": None, "provenance_by_asset_key": None}
    data |= {"run_id": "r", "job_name": None, "retry_number": 0, "extras": {}}
    environment = {
        "PYTHONPATH": str(REPOSITORY),
        DAGSTER_PIPES_CONTEXT_ENV_VAR: encode_param({"data": data}),
        DAGSTER_PIPES_MESSAGES_ENV_VAR: encode_param({"stdio": "stdout"}),
    }
    done = subprocess.run(
        [sys.executable, "-c", WORKER],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    messages = [json.loads(line) for line in done.stdout.split("\n") if line.startswith("{")]
    assert [message["method"] for message in messages] == ["opened", "report_custom_message", "closed"]
    assert len(messages[1]["params"]["payload"]["result"]) == 100_000
