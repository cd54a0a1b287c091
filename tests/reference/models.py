#!/usr/bin/env python3
"""Tiny models of every family with random weights, by transformers.

    python3 tests/reference/models.py

writes for each one a folder tests/data/models/NAME as transformers saves it
(config.json, model.safetensors or several files with an index), and
expect.safetensors: ids [2, S], logits [2 S, V] in fp64, and the gradient of the
mean cross-entropy of predicting each next id, by the parameters' names. All is
computed in fp64 from the weights as stored: where transformers goes through fp32
(norms, softmax, RoPE) it is made to stay in fp64. Needs torch, transformers,
safetensors.
"""
import importlib
import os
import shutil
import torch
import transformers as tf
from safetensors.torch import save_file



class Doubled:
    """torch, but its fp32 is fp64."""

    def __getattr__(self, name):
        fp32 = name in ("float32", "float")
        return torch.float64 if fp32 else getattr(torch, name)


for module in ("modeling_rope_utils", "models.llama.modeling_llama",
               "models.mistral.modeling_mistral", "models.qwen2.modeling_qwen2",
               "models.qwen3.modeling_qwen3", "models.gpt2.modeling_gpt2"):
    importlib.import_module("transformers." + module).torch = Doubled()
torch.Tensor.float = lambda x: x.double()

ROOT = os.path.join(os.path.dirname(__file__), "..", "data", "models")
SEQUENCE, VOCABULARY = 12, 48

LLAMA = dict(vocab_size=VOCABULARY, hidden_size=16, intermediate_size=24,
             num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             max_position_embeddings=32, bos_token_id=1, eos_token_id=2,
             rms_norm_eps=1e-5, initializer_range=0.3)
MODELS = {
    # name: (configuration, dtype stored, largest file)
    "llama2": (tf.LlamaConfig(**{**LLAMA, "num_key_value_heads": 4}),
               torch.float32, "1GB"),
    "llama3": (tf.LlamaConfig(**LLAMA, rope_parameters=dict(
        rope_type="llama3", rope_theta=500.0, factor=4.0, low_freq_factor=1.0,
        high_freq_factor=4.0, original_max_position_embeddings=16)),
        torch.bfloat16, "6KB"),
    "linear": (tf.LlamaConfig(**LLAMA, tie_word_embeddings=True,
                              rope_parameters=dict(rope_type="linear",
                                                   rope_theta=1000.0,
                                                   factor=2.0)),
               torch.float16, "1GB"),
    "mistral": (tf.MistralConfig(**LLAMA, sliding_window=None),
                torch.float16, "1GB"),
    "qwen2": (tf.Qwen2Config(**LLAMA), torch.bfloat16, "1GB"),
    "qwen3": (tf.Qwen3Config(**LLAMA, head_dim=6, tie_word_embeddings=True),
              torch.float32, "1GB"),
    "gpt2": (tf.GPT2Config(vocab_size=VOCABULARY, n_positions=20, n_embd=16,
                           n_layer=2, n_head=2, initializer_range=0.3,
                           resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0),
             torch.float32, "1GB"),
}


def randomise(model, dtype):
    """Norms and biases too, so that each one matters; rounded as stored."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, p in model.named_parameters():
            x = torch.randn(p.shape, generator=generator, dtype=torch.float64)
            norm = p.dim() == 1 and "bias" not in name
            x = 1 + 0.2 * x if norm else 0.25 * x
            p.copy_(x.to(dtype).to(torch.float64))


def make(name, config, dtype, shard):
    folder = os.path.join(ROOT, name)
    shutil.rmtree(folder, ignore_errors=True)
    config._attn_implementation = "eager"
    model = tf.AutoModelForCausalLM.from_config(config).double()
    model.eval()
    randomise(model, dtype)
    generator = torch.Generator().manual_seed(11)
    ids = torch.randint(0, VOCABULARY, (2, SEQUENCE + 1), generator=generator)
    logits = model(ids[:, :-1]).logits
    loss = torch.nn.functional.cross_entropy(
        logits.reshape(-1, VOCABULARY), ids[:, 1:].reshape(-1))
    loss.backward()
    expect = {"ids": ids.to(torch.int32),
              "logits": logits.detach().reshape(-1, VOCABULARY).to(torch.float32),
              "loss": loss.detach().reshape(1)}
    for key, p in model.named_parameters():
        expect["grad." + key] = p.grad.to(torch.float32)
    model.to(dtype).save_pretrained(folder, max_shard_size=shard)
    for extra in ("generation_config.json",):
        if os.path.exists(os.path.join(folder, extra)):
            os.remove(os.path.join(folder, extra))
    save_file({k: v.contiguous() for k, v in expect.items()},
              os.path.join(folder, "expect.safetensors"))


for name, (config, dtype, shard) in MODELS.items():
    make(name, config, dtype, shard)
    print(name, sorted(os.listdir(os.path.join(ROOT, name))))
