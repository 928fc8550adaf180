"""An unfinished extraction through a real S3 server: the next machine has what was finished, and nothing damaged."""

import numpy as np
import pytest

from models.data.features import FeatureWriter, Store, read_store
from orchestration.objects.extractions import pull_extraction, push_extraction
from orchestration.objects.store import open_store
from tests.orchestration.objects.test_server import flip

pytestmark = pytest.mark.stack


@pytest.fixture
def store(objects):
    return open_store(objects)


def test_what_was_finished_comes_back_but_for_a_flipped_bit(store, tmp_path):
    made, sent = tmp_path / "made", set()
    with FeatureWriter(made, Store("toy", "f", "toy", "w", True)) as writer:
        for number in range(3):
            writer.write(f"shard-{number}", f"source {number}", {"tokens": np.full((4, 2), number, np.float16)})
    push_extraction(store, made, "work/partial", sent)
    assert pull_extraction(store, "work/partial", tmp_path / "back") == 3
    names = read_store(made).shards
    assert sent == set(names.values())
    flip(store, f"work/partial/files/{names['shard-1']}")
    assert pull_extraction(store, "work/partial", tmp_path / "again") == 2
    with FeatureWriter(tmp_path / "again", Store("toy", "f", "toy", "w", True)) as writer:
        assert [writer.done(f"shard-{number}", f"source {number}") for number in range(3)] == [True, False, True]
    assert (tmp_path / "again" / "shard-2").read_bytes() == (made / "shard-2").read_bytes()
