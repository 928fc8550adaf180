"""Adapters start as nothing, train alone, and go through diffusers' own files and loaders bit for bit."""

import json

import pytest
import torch
from diffusers import LTXPipeline
from peft.utils import get_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from models.decoder.conditions import Conditions
from models.decoder.lora import LoraError, add_lora, load_lora, save_lora
from tests.models.decoder import small

FILE = "pytorch_lora_weights.safetensors"


def adapted(rank: int = 3):
    network = small.transformer(4)
    add_lora(network, rank)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in (p for p in network.parameters() if p.requires_grad):
            parameter.normal_()
    return network


def answer(network) -> torch.Tensor:
    torch.manual_seed(2)
    with torch.no_grad():
        return network(
            torch.randn(1, 6, 4),
            encoder_hidden_states=torch.randn(1, 2, 24),
            timestep=torch.full((1, 6), 500.0),
            encoder_attention_mask=torch.ones(1, 2),
            video_coords=torch.rand(1, 3, 6),
            return_dict=False,
        )[0]


def by_pipeline(network, folder):
    pipe = LTXPipeline(None, None, None, None, network)
    pipe.load_lora_weights(folder)


LOADERS = {
    "load_lora": load_lora,
    "transformer.load_lora_adapter": lambda network, folder: network.load_lora_adapter(folder, use_safetensors=True),
    "LTXPipeline.load_lora_weights": by_pipeline,
}


@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS)
def test_adapters_come_back_bit_for_bit(tmp_path, load):
    network, fresh = adapted(), small.transformer(4)
    save_lora(network, tmp_path)
    assert not torch.equal(answer(fresh), answer(network))
    load(fresh, tmp_path)
    ((name, config),) = fresh.peft_config.items()
    assert (config.r, config.lora_alpha) == (3, 3)
    before = get_peft_model_state_dict(network)
    after = get_peft_model_state_dict(fresh, adapter_name=name)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert torch.equal(answer(fresh), answer(network))


def test_the_file_holds_rank_and_alpha_and_says_the_same_of_the_same_adapters(tmp_path):
    """Not to the byte: safetensors writes its metadata in no fixed order."""
    found = []
    for name in ("a", "b"):
        save_lora(adapted(), tmp_path / name)
        with safe_open(tmp_path / name / FILE, "pt") as file:
            found.append(file.metadata())
    assert found[0] == found[1]
    said = json.loads(found[0]["lora_adapter_metadata"])
    assert (said["transformer.r"], said["transformer.lora_alpha"]) == (3, 3)
    assert said["transformer.target_modules"] == sorted(said["transformer.target_modules"])


def test_adapters_start_as_nothing_and_train_alone():
    network = small.transformer(4).requires_grad_(False)
    before = answer(network)
    add_lora(network, 3)
    assert torch.allclose(answer(network), before, atol=1e-6)
    trainable = [name for name, p in network.named_parameters() if p.requires_grad]
    assert len(trainable) == 2 * 8 * 2  # A and B, of four projections in two attentions, in two blocks
    assert all("lora_" in name for name in trainable)


def test_files_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(LoraError, match=r"no pytorch_lora_weights.safetensors here; give the lora folder"):
        load_lora(small.transformer(4), tmp_path)
    save_lora(adapted(), tmp_path)
    with pytest.raises(LoraError, match=r"has width 32 there and 48 in the transformer \(32 tensors differ\)"):
        load_lora(small.transformer(4, heads=3), tmp_path)
    tensors = load_file(tmp_path / FILE)
    tensors.pop(next(iter(tensors)))
    save_file(tensors, tmp_path / FILE)
    with pytest.raises(LoraError, match=r"has width None there and 32 in the transformer \(1 tensors differ\)"):
        load_lora(small.transformer(4), tmp_path)


def test_gradient_checkpointing_changes_no_gradient():
    torch.manual_seed(3)
    noisy, sigma = torch.randn(2, 32, 4), torch.tensor([0.2, 0.8])
    conditions = Conditions(torch.randn(2, 2, 8), latents=torch.randn(2, 32, 4))

    def gradients(checkpointing: bool) -> dict[str, torch.Tensor]:
        generator = small.toy_generator()
        torch.manual_seed(4)
        generator.add_lora(3)
        if checkpointing:
            generator.enable_gradient_checkpointing()
        assert generator.transformer.is_gradient_checkpointing is checkpointing
        with torch.no_grad():
            for parameter in (p for p in generator.parameters() if p.requires_grad):
                parameter.normal_(std=0.1)
        generator.velocity(noisy, sigma, conditions).square().mean().backward()
        return {name: p.grad for name, p in generator.named_parameters() if p.grad is not None}

    whole, recomputed = gradients(False), gradients(True)
    assert whole.keys() == recomputed.keys()
    assert len(whole) == 32
    for name, gradient in whole.items():
        torch.testing.assert_close(recomputed[name], gradient)
        assert gradient.abs().max() > 0
