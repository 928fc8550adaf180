"""Networks lie where they fit, the largest first, and what fits nowhere is refused with the numbers."""

import pytest

from models.describe.inference import Part
from models.predict.placement import GB, Device, PlacementError, device_of, place

PARTS = {
    "qwen": Part(16 * GB, GB),
    "ltx": Part(4 * GB, GB),
    "dinov2": Part(2 * GB, GB),
    "vae": Part(GB, 3 * GB),
    "fusion": Part(GB // 10, GB // 10),
}


def test_one_large_device_holds_all_and_needs_the_most_that_one_call_needs():
    (load,) = place(PARTS, [Device("cuda:0", 40 * GB)])
    assert set(load.parts) == set(PARTS)
    assert load.needed == GB + 23 * GB + GB // 10 + 3 * GB


def test_encoders_that_work_side_by_side_need_both_their_work():
    two = {"qwen": Part(GB, 5 * GB), "dinov2": Part(GB, 5 * GB)}
    (load,) = place(two, [Device("cuda:0", 40 * GB)])
    assert load.needed == GB + 2 * GB + 10 * GB
    spread = place(two, [Device("cuda:0", 10 * GB), Device("cuda:1", 10 * GB)])
    assert device_of(spread) == {"qwen": "cuda:1", "dinov2": "cuda:0"}


def test_two_small_devices_share_and_neither_is_overfull():
    loads = place(PARTS, [Device("cuda:0", 24 * GB), Device("cuda:1", 24 * GB)])
    where = device_of(loads)
    assert where["qwen"] == "cuda:0"
    assert "cuda:1" in where.values()
    assert all(load.needed <= 0.95 * load.device.capacity for load in loads)


def test_what_fits_nowhere_is_refused_with_what_it_needs_and_what_is_free():
    with pytest.raises(PlacementError, match=r"qwen needs 17\.0 GB and fits nowhere \(free: cuda:0 14\.2 GB") as error:
        place(PARTS, [Device("cuda:0", 16 * GB)])
    assert error.value.exit_code == 3
    with pytest.raises(PlacementError, match="free: none"):
        place(PARTS, [])
