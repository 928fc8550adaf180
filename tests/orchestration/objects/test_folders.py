"""A folder's manifest names files below the folder and nothing else, whoever wrote it."""

import json

import pytest

from orchestration.objects.errors import ObjectDamaged
from orchestration.objects.folders import SCHEMA, pull_folder
from tests.orchestration.dispatch.stores import Memory


@pytest.mark.parametrize("name", ["../beside.txt", "a/../../beside.txt", "/etc/beside.txt", "", "."])
def test_a_manifest_that_climbs_out_is_refused_before_anything_is_written(tmp_path, name):
    store = Memory()
    sha256 = store.put_bytes(b"x", "p/files/x")
    said = {"schema": SCHEMA, "files": {name: {"sha256": sha256, "size": 1}}}
    store.put_bytes(json.dumps(said).encode(), "p/manifest.json")
    with pytest.raises(ObjectDamaged, match="not a manifest"):
        pull_folder(store, "p", tmp_path / "home" / "folder")
    assert list(tmp_path.iterdir()) == []
