"""The parameters of a dataset's data stages: what follows from the profile's checkpoints follows from them."""

import json
import shutil
from pathlib import Path

import pytest

from orchestration import profile
from orchestration.data.datasets import BUILT_IN, params
from orchestration.home import REPOSITORY


@pytest.fixture
def profile_of_vae(tmp_path):
    """The laptop's profile with a VAE of so many halvings of time."""

    def made(halvings: int) -> profile.Profile:
        folder = shutil.copytree(REPOSITORY / profile.load().weights.vae.source, tmp_path / f"vae{halvings}")
        config = Path(folder) / "config.json"
        said = json.loads(config.read_text())
        said["spatio_temporal_scaling"] = [n < halvings for n in range(4)]
        said["patch_size_t"] = 1
        config.write_text(json.dumps(said))
        given = profile.load().model_dump()
        given["weights"]["vae"] = {"source": str(folder)}
        return profile.Profile.model_validate(given)

    return made


def test_dinov2_looks_at_one_frame_for_each_latent_frame_of_the_profiles_vae(profile_of_vae):
    assert params(BUILT_IN[0], profile.load("laptop"))["dinov2"]["stride"] == 2
    for halvings, stride in ((1, 2), (3, 8)):
        assert params(BUILT_IN[0], profile_of_vae(halvings))["dinov2"]["stride"] == stride
