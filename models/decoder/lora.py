"""LoRA in the decoder's attention by peft, in diffusers' format (Hu et al. 2022, arXiv:2106.09685)."""

from pathlib import Path

from diffusers import LTXPipeline, LTXVideoTransformer3DModel
from diffusers.loaders.lora_base import LORA_WEIGHT_NAME_SAFE
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors import safe_open

TARGETS = ("to_q", "to_k", "to_v", "to_out.0")
ADAPTER = "default"
_PREFIX = "transformer."


class LoraError(ValueError):
    """A LoRA file that is not there or does not fit the transformer."""


def add_lora(transformer: LTXVideoTransformer3DModel, rank: int) -> None:
    """Add trainable adapters to all attention projections; they start as nothing."""
    transformer.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=list(TARGETS)), ADAPTER)


def save_lora(transformer: LTXVideoTransformer3DModel, folder: Path) -> None:
    """Write the adapters as `LTXPipeline.load_lora_weights(folder)` reads them, with rank and alpha in the metadata."""
    folder.mkdir(parents=True, exist_ok=True)
    config = transformer.peft_config[ADAPTER].to_dict()
    LTXPipeline.save_lora_weights(
        folder,
        transformer_lora_layers={**get_peft_model_state_dict(transformer, adapter_name=ADAPTER)},
        # peft keeps names in sets, whose order changes from one process to the next: equal adapters say the same
        transformer_lora_adapter_metadata={k: sorted(v) if isinstance(v, set) else v for k, v in config.items()},
    )


def load_lora(transformer: LTXVideoTransformer3DModel, folder: Path) -> None:
    """Add the adapters of a folder written by `save_lora` to a transformer that has none.

    Raises:
        LoraError: the file is not there, is of other sizes, or adapts other layers.
    """
    path = folder / LORA_WEIGHT_NAME_SAFE
    if not path.is_file():
        raise LoraError(f"{folder}: no {LORA_WEIGHT_NAME_SAFE} here; give the lora folder that a Phase 3 run left")
    with safe_open(path, "pt") as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    _require_fit(transformer, shapes, path)
    transformer.load_lora_adapter(
        folder, weight_name=LORA_WEIGHT_NAME_SAFE, adapter_name=ADAPTER, use_safetensors=True, local_files_only=True
    )


def _require_fit(transformer: LTXVideoTransformer3DModel, shapes: dict[str, tuple[int, ...]], path: Path) -> None:
    """diffusers only logs what a file lacks or has too much, and stops half way at a wrong size."""
    wanted = {}
    for name, module in transformer.named_modules():
        if name.endswith(TARGETS):
            wanted[f"{_PREFIX}{name}.lora_A.weight"] = module.in_features
            wanted[f"{_PREFIX}{name}.lora_B.weight"] = module.out_features
    # lora_A is [rank, in], lora_B [out, rank]; other tools' files also hold scalars
    given = {name: (shape or (0,))[0 if ".lora_B." in name else -1] for name, shape in shapes.items()}
    differing = sorted(name for name in wanted | given if wanted.get(name) != given.get(name))
    if differing:
        first = differing[0]
        raise LoraError(
            f"{path}: {first} has width {given.get(first)} there and {wanted.get(first)} in the transformer "
            f"({len(differing)} tensors differ); load it into the transformer that it was trained with"
        )
