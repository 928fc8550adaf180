"""What every data asset does: nothing when DVC says the stage is unchanged, else its command, a commit and a push; its
version is reported once the push has come to its end.

The asset's DataVersion is the hash that DVC keeps for what the stage made, so Dagster and DVC name the same bytes
alike. What needs a GPU is paid for by the phase for which D.2 stores it; the rest is in no budget.
"""

import json
import time
from typing import Any

import dagster as dg

from orchestration import times
from orchestration.budget.spending import Account, Paid
from orchestration.budget.storage import PHASE_OF
from orchestration.data.datasets import Dataset
from orchestration.data.workspace import CLIPS, Workspace
from orchestration.dispatch.needs import Dispatch
from orchestration.dispatch.parcels import DataParcel, data_work
from orchestration.dispatch.send import dispatch
from orchestration.dispatch.task import Task
from orchestration.dispatch.unpaid import Unpaid
from orchestration.resources import Foresight


def make(context: dg.AssetExecutionContext, foresight: Foresight, dataset: Dataset, stage: str) -> dg.MaterializeResult:
    """Bring one stage of a dataset up to date."""
    workspace = foresight.workspace(dataset)
    summary = foresight.home.run(dataset.name, stage) / "summary.json"
    made = not fresh(workspace, dataset, stage)
    if made:
        began = time.monotonic()
        _clear(workspace, stage)
        task = _task(context, foresight, dataset, workspace, stage)
        result = dispatch(context, task, _where(foresight, stage))
        workspace.commit(stage)
        times.note(foresight.home, dataset.name, stage, time.monotonic() - began)
        summary.parent.mkdir(parents=True, exist_ok=True)
        summary.write_text(json.dumps(result), encoding="utf-8")
    else:
        context.log.info(f"{stage}: DVC says nothing has changed; nothing was made again")
        if not workspace.whole(stage):
            context.log.info(f"{stage}: not all of it is in the remote; what lacks there is sent")
            workspace.commit(stage)
    said = json.loads(summary.read_text(encoding="utf-8")) if summary.is_file() else {}
    return dg.MaterializeResult(
        data_version=dg.DataVersion(workspace.version(stage)), metadata=_metadata(workspace, stage, made, said)
    )


def _task(
    context: dg.AssetExecutionContext, foresight: Foresight, dataset: Dataset, workspace: Workspace, stage: str
) -> Task:
    work, needs = data_work(workspace, dataset.name, stage), foresight.profile.needs(stage)
    parcel = DataParcel(work, foresight.home, workspace, stage)
    if stage not in PHASE_OF:
        return Task(work, stage, needs, parcel, Unpaid(needs.max_hours))
    booked = Account(
        home=foresight.home,
        work=work,
        phase=PHASE_OF[stage],
        experiment=stage,
        device=foresight.profile.device,
        gpus=foresight.profile.budget.gpus,
        max_hours=needs.max_hours or foresight.profile.budget.max_hours,
    )
    return Task(work, stage, needs, parcel, Paid(booked, context.log), foresight.profile.gpus_of_workers(stage))


def _where(foresight: Foresight, stage: str) -> Dispatch:
    """Raw clips are made where their source lies, which is here."""
    return Dispatch() if stage == CLIPS else foresight.profile.dispatch


def fresh(workspace: Workspace, dataset: Dataset, stage: str) -> bool:
    """Whether the stage needs nothing. DVC does not know all: what clips were made from is asked of their receipt,
    and by which code features were made of their store.
    """
    if stage == CLIPS:
        from orchestration.stages.clips import asked, receipt

        if receipt(workspace.root) != asked(workspace.root):
            return False
    return not _outdated(workspace, stage) and workspace.fresh(stage)


def _outdated(workspace: Workspace, stage: str) -> bool:
    from orchestration.stages.tokens import FOLDERS, outdated

    return stage in FOLDERS and outdated(workspace.root, stage)


def _clear(workspace: Workspace, stage: str) -> None:
    """Take away what other parameters or other code made: appending to it would mix the two."""
    if _outdated(workspace, stage):
        workspace.remove(stage)
        return
    if stage != CLIPS:
        workspace.clear(stage)
        return
    from orchestration.stages.clips import asked, receipt

    before = receipt(workspace.root)
    if before and before["params"] != asked(workspace.root)["params"]:
        workspace.clear_after_clips()


def _metadata(workspace: Workspace, stage: str, made: bool, said: dict[str, Any]) -> dict[str, Any]:
    outs = workspace.outs(stage)
    numbers = {name: value for name, value in said.items() if isinstance(value, str | int | float | bool)}
    return {
        **numbers,
        "command": dg.MetadataValue.text(workspace.command(stage)),
        "made_now": dg.MetadataValue.bool(made),
        "path": dg.MetadataValue.path(str(workspace.root / outs[0]["path"])),
        "dvc_md5": dg.MetadataValue.text(workspace.version(stage)),
        "size_mb": dg.MetadataValue.float(sum(out.get("size", 0) for out in outs) / 2**20),
        "files": dg.MetadataValue.int(sum(out.get("nfiles", 1) for out in outs)),
    }
