"""Storage against its caps: measured from the stores, projected from a measured clip, refused before it is made."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestration.budget.storage import StorageRefused, document, require_room
from orchestration.home import Home

GB = 10**9


@pytest.fixture
def home(tmp_path) -> Home:
    """Two shards of 3 clips and 1, of which one has DINOv2's features; a checkpoint of Phase 1."""
    home = Home(tmp_path / "home")
    root = home.workspace("moving_shapes")
    write(root / "shards" / "shard-0.safetensors", 600)
    write(root / "features" / "dinov2" / "shard-0.safetensors", 3000)
    write(root / "features" / "dinov2" / "shard-1.safetensors", 999, "half-written: its store does not name it")
    store = {"shards": {"shard-0.safetensors": "sha"}, "standin": True}
    (root / "features" / "dinov2" / "store.json").write_text(json.dumps(store))
    pq.write_table(
        pa.table({"shard": ["shard-0.safetensors"] * 3 + ["shard-1.safetensors"]}), root / "shards" / "index.parquet"
    )
    write(home.run("moving_shapes", "phase1") / "checkpoints" / "step-1" / "model.safetensors", 5000)
    return home


def write(path, size: int, _why: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"0" * size)


def test_what_is_stored_is_counted_in_the_phase_it_belongs_to(home):
    found = document(home)
    [first, second, third] = found["phases"]
    assert first["used_gb"] == pytest.approx(8000 / GB)
    assert first["projected_gb"] == pytest.approx((100_000 * 1000 + 5000) / GB)
    assert (first["cap_gb"], first["section"], first["verdict"]) == (50, "D.2", "within")
    assert (second["used_gb"], second["projected_gb"], second["verdict"]) == (0, None, None)
    assert third["cap_gb"] == 100
    assert found["features"]["used_gb"] == pytest.approx(3000 / GB)
    assert found["standins"] is True
    [dinov2] = [part for part in found["parts"] if part["what"] == "dinov2"]
    assert (dinov2["clips"], dinov2["a_clip"]) == (3, 1000)


def test_a_store_that_grows_past_its_cap_says_so(home):
    store = home.workspace("moving_shapes") / "features" / "dinov2"
    (store / "shard-0.safetensors").write_bytes(b"0" * 3 * 510_000)
    assert document(home)["phases"][0]["verdict"] == "over"


def test_a_home_with_nothing_in_it_stores_nothing(tmp_path):
    found = document(Home(tmp_path))
    assert {row["used_gb"] for row in found["phases"]} == {0}
    assert {row["verdict"] for row in found["phases"]} == {None}


def test_features_that_will_not_fit_are_refused_with_the_numbers():
    require_room("dinov2", 64 * 500_000, 64, 100_000)
    with pytest.raises(StorageRefused) as refusal:
        require_room("dinov2", 64 * 3_930_000, 64, 100_000)  # design §4.8's five latent frames in fp16
    for said in ("64 clips take 0.252 GB", "100000 take 393 GB", "50 GB of phase 1 (§D.2)", "int8"):
        assert said in str(refusal.value)
    assert refusal.value.exit_code == 3
    require_room("latents", 64 * 990_000, 64, 100_000)
    with pytest.raises(StorageRefused, match="phase 3"):
        require_room("latents", 64 * 1_010_000, 64, 100_000)
