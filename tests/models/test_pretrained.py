"""Sources of weights: what a hub is asked for, which of its folders, and what a pin refuses."""

from pathlib import Path

import huggingface_hub
import pytest

from models import pretrained
from models.pretrained import LTX_PARTS, HubFolder, find, hub_folder, locate
from models.provenance import WeightsError, file_sha256, folder_sha256

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def folder(tmp_path):
    """Two files of weights and a configuration."""
    made = tmp_path / "weights"
    (made / "deep").mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "deep/more.safetensors"):
        (made / name).write_text(name)
    return made


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub that has a repository of LTX's layout; what it was asked for."""
    asked = []
    snapshot = tmp_path / "snapshot"
    for part in (*LTX_PARTS, "vae"):
        (snapshot / part).mkdir(parents=True)
        (snapshot / part / "model.safetensors").write_text(part)

    def snapshot_download(repository, **said):
        asked.append({**said, "repository": repository})
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    pretrained._snapshot.cache_clear()
    yield asked
    pretrained._snapshot.cache_clear()


def pins(folder: Path) -> dict[str, str]:
    return {name: file_sha256(folder / name) for name in ("model.safetensors", "deep/more.safetensors")}


def test_pins_by_file_are_held_against_every_file(folder):
    assert locate(folder, pins(folder)).sha256 == folder_sha256(folder)
    (folder / "config.json").write_text("another")
    locate(folder, pins(folder))
    with pytest.raises(WeightsError, match=r"config.json has sha256 \w{64}, not the pinned 0{64}; it is refused"):
        locate(folder, {**pins(folder), "config.json": "0" * 64})


def test_one_changed_byte_of_a_pinned_file_is_refused(folder):
    pinned = pins(folder)
    (folder / "deep" / "more.safetensors").write_text("deep/more.safetensorz")
    with pytest.raises(WeightsError, match=r"weights: deep/more.safetensors has sha256 .*, not the pinned"):
        locate(folder, pinned)


def test_a_pinned_file_that_is_not_there_is_named(folder):
    with pytest.raises(WeightsError, match=r"no weights or configuration absent.safetensors, which is pinned"):
        locate(folder, {**pins(folder), "absent.safetensors": "0" * 64})


def test_weights_that_no_pin_names_are_refused(folder):
    pinned = pins(folder)
    del pinned["deep/more.safetensors"]
    with pytest.raises(WeightsError, match=r"deep/more.safetensors holds weights that no pin names"):
        locate(folder, pinned)


@pytest.mark.parametrize(
    ("name", "named"),
    [
        (f"org/model@{COMMIT}", HubFolder("org/model", COMMIT, "")),
        (f"Org-1/a.b_c@{COMMIT}/vae", HubFolder("Org-1/a.b_c", COMMIT, "vae")),
        (f"org/model@{COMMIT}/a/b-1.0", HubFolder("org/model", COMMIT, "a/b-1.0")),
    ],
)
def test_names_of_a_hub(name, named):
    assert hub_folder(name) == named


@pytest.mark.parametrize("name", [f"org/model@{COMMIT}/../other", f"org/model@{COMMIT}/.git", "model", "a/b/c"])
def test_what_names_no_folder_of_a_hub_is_refused(name):
    with pytest.raises(WeightsError, match=r"give a folder of weights, or org/name@COMMIT of a hub") as caught:
        hub_folder(name)
    assert "\n" not in str(caught.value)


def test_of_a_repository_only_what_is_used_is_fetched(hub):
    assert find(f"org/ltx@{COMMIT}/vae").name == "vae"
    assert set(hub[0]["allow_patterns"]) == {f"vae/{kind}" for kind in pretrained.WANTED}
    find(f"org/ltx@{COMMIT}", LTX_PARTS)
    assert {pattern.split("/")[0] for pattern in hub[1]["allow_patterns"]} == set(LTX_PARTS)
    with pytest.raises(WeightsError, match="holds no folder absent"):
        find(f"org/ltx@{COMMIT}/absent")


def test_what_else_was_fetched_of_a_commit_does_not_change_what_a_part_is(hub):
    """The VAE of the same commit lies in the same folder of the hub's cache."""
    folder = find(f"org/ltx@{COMMIT}", LTX_PARTS)
    before = folder_sha256(folder, LTX_PARTS)
    (folder / "vae" / "model.safetensors").write_text("another")
    assert folder_sha256(folder, LTX_PARTS) == before != folder_sha256(folder)
    (folder / "transformer" / "model.safetensors").write_text("another")
    assert folder_sha256(folder, LTX_PARTS) != before


def test_a_commit_is_asked_for_once_and_not_at_all_by_who_only_looks(hub):
    for _ in range(2):
        find(f"org/ltx@{COMMIT}")
    assert [asked["local_files_only"] for asked in hub] == [False]
    find(f"org/ltx@{COMMIT}", fetch=False)
    assert hub[1]["local_files_only"] is True


def test_what_was_never_fetched_says_so_without_asking():
    with pytest.raises(WeightsError, match=rf"org/never@{COMMIT}: not fetched yet; a run fetches it"):
        find(f"org/never@{COMMIT}", fetch=False)
