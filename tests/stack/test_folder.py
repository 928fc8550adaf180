"""A folder of one's own, through Dagster and through DVC alone: what is unusable is set aside, what is new is added."""

import json
import shutil
import subprocess
import sys

import pandas as pd
import pytest
import yaml

from models.data.video import write_lossless
from orchestration.dispatch.local import worker_environment
from tests.models.data.clips import folder_bytes, make_row, rectangles, write_manifest
from tests.stack.conftest import foresight

pytestmark = pytest.mark.stack
SIZE = {"height": 64, "width": 64}


def _run(home, folder, profile):
    done = foresight(home, "run", "--data", str(folder), "--until", "latents", "--profile", str(profile), "--json")
    assert done.returncode == 0, done.stderr
    return {stage["stage"]: stage["made"] for stage in json.loads(done.stdout)["stages"]}


def test_clips_that_are_added_are_encoded_and_the_others_are_left_as_they_are(tmp_path, small_profile):
    folder, home = tmp_path / "my clips", tmp_path / "home"
    rows: list[dict | str] = [
        make_row(folder, f"c{i}", seed=i, split="heldout" if i > 5 else "train", caption="a box moves right", **SIZE)
        for i in range(8)
    ]
    broken = make_row(folder, "broken", seed=9, **SIZE)
    (folder / "clips" / "broken.mkv").write_bytes(b"not a video")
    outside = {"id": "outside", "path": "../elsewhere.mkv", "split": "train"}
    write_manifest(folder, [*rows, broken, outside])

    assert _run(home, folder, small_profile)["my_clips/latents"] is True
    workspace = home / "data" / "my_clips"
    assert set(pd.read_parquet(workspace / "shards" / "quarantine.parquet")["clip_id"]) == {"broken", "outside"}
    before = {part: folder_bytes(workspace / part) for part in ("shards", "features", "latents")}

    write_manifest(folder, [*rows, broken, outside, make_row(folder, "later", seed=10, **SIZE)])
    assert _run(home, folder, small_profile)["my_clips/dinov2"] is True
    for part, files in before.items():
        now = folder_bytes(workspace / part)
        kept = [name for name in files if name.endswith(".safetensors")]
        assert kept
        assert all(now[name] == files[name] for name in kept)
        assert len(now) > len(files), f"nothing was added to {part}"

    assert not any(_run(home, folder, small_profile).values()), "nothing has changed, and something was made"


def test_something_something_as_it_is_published(tmp_path, small_profile):
    folder, home = tmp_path / "ssv2", tmp_path / "home"
    (folder / "labels").mkdir(parents=True)
    (folder / "20bn-something-something-v2").mkdir()
    for part, ids in (("train", range(3)), ("validation", range(3, 5))):
        table = [{"id": str(i), "template": "Pushing [something]", "placeholders": ["a box"]} for i in ids]
        (folder / "labels" / f"{part}.json").write_text(json.dumps(table))
        for i in ids:
            lossless = folder / f"{i}.mkv"
            write_lossless(lossless, rectangles(i, **SIZE)[0])
            shutil.move(lossless, folder / "20bn-something-something-v2" / f"{i}.webm")
    _run(home, folder, small_profile)
    index = pd.read_parquet(home / "data" / "ssv2" / "shards" / "index.parquet").set_index("clip_id")
    assert index["split"].value_counts().to_dict() == {"train": 3, "heldout": 2}
    assert set(index["caption"]) == {"Pushing a box"}


def test_dvc_alone_makes_the_same_bytes_as_dagster(programme, small_profile, tmp_path):
    made, alone = programme / "data" / "moving_shapes", tmp_path / "alone"
    alone.mkdir()
    for name in ("dvc.yaml", "params.yaml", "data.dvc"):
        shutil.copy2(made / name, alone / name)
    (alone / ".dvc").mkdir()
    (alone / ".dvc" / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    for module, *rest in (["orchestration.worker", "clips"], ["dvc", "repro"]):
        command = [sys.executable, "-m", module, *rest]
        done = subprocess.run(command, cwd=alone, env=worker_environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    locks = [yaml.safe_load((folder / "dvc.lock").read_text())["stages"] for folder in (made, alone)]
    assert locks[0] == locks[1]
