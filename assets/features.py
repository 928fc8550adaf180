"""What the frozen networks see in each clip, made once and kept.

`dinov2` says where things are (patch tokens with positions, one frame per latent frame), `qwen` says what happens and
when (tokens of the vision-language model), `latents` is what the video decoder must be given (normalised VAE
latents). Stores are addressed by clip and by fingerprint: features of clips that are done are not made again when
clips are added.
"""

import dagster as dg

from orchestration import groups
from orchestration.data import data_stage, validation
from orchestration.data.datasets import Dataset
from orchestration.resources import Foresight

WHAT = {
    "dinov2": ("Where things are: DINOv2 patch tokens.", "pytorch"),
    "qwen": ("What happens and when: Qwen2.5-VL tokens.", "huggingface"),
    "latents": ("What the decoder must be given: LTX VAE latents.", "pytorch"),
}


def assets(dataset: Dataset) -> list[dg.AssetsDefinition]:
    """One asset for each frozen network over one dataset."""
    return [_store(dataset, name, what, kind) for name, (what, kind) in WHAT.items()]


def checks(dataset: Dataset) -> list[dg.AssetChecksDefinition]:
    """Whether each store's values are fit, an asset check for each expectation."""
    return [validation.checks(dataset, name, validation.FEATURES, validation.feature_table(name)) for name in WHAT]


def _store(dataset: Dataset, name: str, what: str, kind: str) -> dg.AssetsDefinition:
    @dg.asset(
        key=groups.key(dataset.name, name),
        op_tags=groups.priority(dataset.name, name),
        deps=[groups.key(dataset.name, "shards")],
        group_name=groups.TOKENS,
        owners=groups.ENGINEERING,
        kinds={"dvc", kind},
        description=f"{what}\n\n{__doc__}",
    )
    def store(context: dg.AssetExecutionContext, foresight: Foresight) -> dg.MaterializeResult:
        return data_stage.make(context, foresight, dataset, name)

    return store
