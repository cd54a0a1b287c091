#!/usr/bin/env python3
"""LoRA adapters and one training step with them, by PEFT and PyTorch.

    python3 -P tests/reference/lora.py

writes for each case a folder tests/data/adapters/NAME: adapter_config.json and
adapter_model.safetensors as PEFT saves them, and expect.safetensors, computed
in fp64 over the model of tests/data/models that adapter_config.json names:
ids [2, S + 1], logits [2 S, V], loss (the mean over all positions), grad.X,
after.X (each adapter tensor X after one step of AdamW: lr 0.01, betas 0.9 and
0.95, epsilon 1e-8, decay 0.1, no clipping), and merged.Y, the adapted matrices
Y of layer 1 by merge_and_unload. Needs torch, transformers, peft, safetensors.
"""
import importlib
import json
import os
import shutil
import torch
import transformers as tf
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file, save_file


class Doubled:
    """torch, but its fp32 is fp64."""

    def __getattr__(self, name):
        fp32 = name in ("float32", "float")
        return torch.float64 if fp32 else getattr(torch, name)


HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "..", "data")
SEQUENCE = 12
CASES = {
    # name: (model, LoraConfig's arguments)
    "llama3": ("llama3", dict(r=3, lora_alpha=5,
                              target_modules=["q_proj", "v_proj"])),
    "qwen2": ("qwen2", dict(r=2, lora_alpha=4, target_modules="all-linear")),
    "linear": ("linear", dict(r=4, lora_alpha=6, use_rslora=True,
                              layers_to_transform=[1],
                              target_modules=["k_proj", "down_proj"])),
    "gpt2": ("gpt2", dict(r=2, lora_alpha=3, fan_in_fan_out=True,
                          target_modules=["c_attn", "c_proj", "c_fc"])),
}


def stay_in_fp64():
    for module in ("modeling_rope_utils", "models.llama.modeling_llama",
                   "models.qwen2.modeling_qwen2", "models.gpt2.modeling_gpt2"):
        importlib.import_module("transformers." + module).torch = Doubled()
    torch.Tensor.float = lambda x: x.double()


def randomise(model):
    """Both factors, so that both have gradients; values that fp32 holds."""
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_" in name:
                x = 0.3 * torch.randn(p.shape, generator=generator,
                                      dtype=torch.float64)
                p.copy_(x.to(torch.float32).to(torch.float64))


def adapters(model):
    return {k: v.detach().clone().contiguous()
            for k, v in get_peft_model_state_dict(model).items()}


def make(name, base, arguments):
    folder = os.path.join(DATA, "adapters", name)
    shutil.rmtree(folder, ignore_errors=True)
    source = os.path.join(DATA, "models", base)
    model = tf.AutoModelForCausalLM.from_pretrained(
        source, dtype=torch.float64, attn_implementation="eager")
    model = get_peft_model(model, LoraConfig(
        task_type="CAUSAL_LM", lora_dropout=0.0, **arguments),
        autocast_adapter_dtype=False)
    randomise(model)
    model.train()
    model.save_pretrained(folder)
    stored = os.path.join(folder, "adapter_model.safetensors")
    save_file({k: v.to(torch.float32) for k, v in adapters(model).items()},
              stored, metadata={"format": "pt"})
    path = os.path.join(folder, "adapter_config.json")
    config = json.load(open(path))
    config["base_model_name_or_path"] = "tests/data/models/" + base
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()
    json.dump(config, open(path, "w"), indent=2, sort_keys=True)
    os.remove(os.path.join(folder, "README.md"))

    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(0, model.config.vocab_size, (2, SEQUENCE + 1),
                        generator=generator)
    logits = model(ids[:, :-1]).logits
    flat = logits.reshape(-1, logits.shape[-1])
    loss = torch.nn.functional.cross_entropy(flat, ids[:, 1:].reshape(-1))
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.01, betas=(0.9, 0.95),
                                  eps=1e-8, weight_decay=0.1)
    loss.backward()
    names = {id(p): n for n, p in model.named_parameters()}
    out = {"ids": ids.to(torch.int32), "logits": flat.detach(),
           "loss": loss.detach().reshape(1)}
    for p in trained:
        out["grad." + names[id(p)].replace(".default", "")] = p.grad.clone()
    optimizer.step()
    for key, value in adapters(model).items():
        out["after." + key] = value
    # Merged from the values that are stored.
    values = load_file(stored)
    with torch.no_grad():
        for n, p in model.named_parameters():
            key = n.replace(".default", "")
            if key in values:
                p.copy_(values[key].to(torch.float64))
    before = {k: v.clone() for k, v in tf.AutoModelForCausalLM.from_pretrained(
        source, dtype=torch.float64).state_dict().items()}
    merged = model.merge_and_unload().state_dict()
    for key, value in merged.items():
        if ".1." in key and not torch.equal(value, before[key]):
            out["merged." + key] = value
    save_file({k: v.contiguous() for k, v in out.items()},
              os.path.join(folder, "expect.safetensors"))


if __name__ == "__main__":
    stay_in_fp64()
    for name, (base, arguments) in CASES.items():
        make(name, base, arguments)
