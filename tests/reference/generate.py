#!/usr/bin/env python3
"""Greedy texts of the models in tests/data/models, by transformers with its
cache of keys and values; writes tests/reference/generate.inc.

    pip install torch transformers
    python3 tests/reference/generate.py
"""
import os

import torch
import transformers

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = os.path.join(HERE, "..", "data", "models")
PROMPT = [5, 17, 2, 40, 9]

with open(os.path.join(HERE, "generate.inc"), "w") as out:
    out.write("/* Made by generate.py: model, ids after the prompt. */\n")
    for name in sorted(os.listdir(MODELS)):
        model = transformers.AutoModelForCausalLM.from_pretrained(
            os.path.join(MODELS, name), dtype=torch.float32).eval()
        length = 20 if name == "gpt2" else 32
        ids = model.generate(
            torch.tensor([PROMPT]), attention_mask=torch.ones(1, len(PROMPT)),
            do_sample=False, use_cache=True, max_length=length,
            eos_token_id=None, pad_token_id=0)[0].tolist()[len(PROMPT):]
        out.write('{"%s", %d, {%s}},\n' % (name, len(ids),
                                           ", ".join(map(str, ids))))
