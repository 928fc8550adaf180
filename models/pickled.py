"""Pickled Flax and torch checkpoints -> safetensors. Arrays and tensors are read, no more: a pickle runs no code."""

import io
import pickle
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from models.provenance import WeightsError

NUMPY_ONLY = {
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
}


class _NumpyUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str):
        if (module_name, global_name) not in NUMPY_ONLY:
            raise WeightsError(f"the pickle asks for {module_name}.{global_name}; only numpy arrays are read")
        return super().find_class(module_name.replace("numpy.core", "numpy._core"), global_name)


def read_arrays(content: bytes) -> dict[str, np.ndarray]:
    """The float arrays of a pickled tree of dicts, by their names joined with dots; batch axes of one are dropped.

    Raises:
        WeightsError: the pickle cannot be read, asks for anything else than numpy, or holds anything but float arrays.
    """
    try:
        tree = _NumpyUnpickler(io.BytesIO(content)).load()
    except WeightsError:
        raise
    except Exception as error:  # a damaged pickle fails in as many ways as it has opcodes
        raise WeightsError(f"the pickle cannot be read ({error})") from error
    return dict(_leaves(tree, ""))


def _leaves(tree: object, prefix: str):
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _leaves(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(tree, np.ndarray) and tree.dtype.kind == "f":
        yield prefix, tree
    else:
        raise WeightsError(f"the pickle holds {type(tree).__name__} at {prefix or 'its root'}, not an array of floats")


def _torch_layout(name: str, array: np.ndarray) -> np.ndarray:
    """Flax kernels are [..., in, out], torch's [out, in, ...]; statistics kept as [1, 1, 1, 1, C] become [C]."""
    if name.endswith(".kernel"):
        array = np.moveaxis(array, (-1, -2), (0, 1))
    elif array.ndim > 1:
        array = array.reshape(-1)
    return np.ascontiguousarray(array, dtype=np.float32)


def convert_arrays(content: bytes, target: Path, *, source: str, source_sha256: str) -> None:
    """Writes the arrays of a pickled checkpoint as safetensors in torch's layout; the file names its source."""
    arrays = {name: _torch_layout(name, array) for name, array in read_arrays(content).items()}
    beside = target.with_suffix(".partial")
    save_file(arrays, beside, metadata={"source": f"{source} sha256:{source_sha256}"})
    beside.replace(target)


def convert_tensors(content: bytes, target: Path, *, source: str, source_sha256: str) -> None:
    """Writes a torch checkpoint, a plain dict of tensors, as safetensors under its names; the file names its source.

    Raises:
        WeightsError: the checkpoint cannot be read without running code, or holds anything but tensors.
    """
    import torch
    from safetensors.torch import save_file as save_tensors

    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or a hostile pickle fails in as many ways as it has opcodes
        reason = str(error).strip().splitlines()[0]
        raise WeightsError(f"the checkpoint is no plain dict of tensors ({reason})") from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError("the checkpoint holds something else than tensors by name; it is refused")
    beside = target.with_suffix(".partial")
    tensors = {name: value.clone().contiguous() for name, value in state.items()}
    save_tensors(tensors, beside, metadata={"source": f"{source} sha256:{source_sha256}"})
    beside.replace(target)
