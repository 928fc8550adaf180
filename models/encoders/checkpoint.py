"""A model of the transformers library out of a folder of safetensors: whole, of the right kind, or refused."""

from typing import Any

from models.pretrained import Checkpoint
from models.provenance import WeightsError


def load_model(
    checkpoint: Checkpoint, classes: dict[str, Any], *, dtype: Any, key_mapping: dict[str, str] | None = None
) -> Any:
    """A model of the transformers library, of the class that the folder's `model_type` names.

    Parameters that the files lack would stay random: the library only warns of them, here they are refused.

    Raises:
        WeightsError: the folder holds another kind of model, lacks parameters, or is damaged.
    """
    kind = checkpoint.config().get("model_type")
    if kind not in classes:
        raise WeightsError(
            f"{checkpoint.folder}: holds a {kind} model, not {' or '.join(classes)}; name another folder"
        )
    try:
        model, report = classes[kind].from_pretrained(
            checkpoint.folder,
            use_safetensors=True,
            local_files_only=True,
            dtype=dtype,
            key_mapping=key_mapping,
            output_loading_info=True,
        )
    except Exception as error:  # a damaged file fails as OSError, ValueError, RuntimeError or the Rust reader's own
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{checkpoint.folder}: cannot be loaded ({reason}); fetch the folder again") from error
    if lacking := sorted(report["missing_keys"]):
        raise WeightsError(
            f"{checkpoint.folder}: lacks {len(lacking)} parameters of {type(model).__name__}, {lacking[0]} first; "
            "name the folder of the whole model"
        )
    return model
