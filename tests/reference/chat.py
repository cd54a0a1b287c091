#!/usr/bin/env python3
"""What transformers prints for conversations with the chat templates of
tests/data/chat, which are the models' own without their tools. Writes
tests/data/chat/cases.json: for each template and conversation the text, null
where the template refuses, and for whole conversations the ids that a tokenizer
of tests/data/tokenizers gives. Needs transformers and jinja2; run from the root:

    python3 -P tests/reference/chat.py [TEMPLATE]

With a file of one more template it prints instead of writing, in the same form.
"""
import glob, json, os, sys
from transformers import PreTrainedTokenizerFast

OUT = "tests/data/chat"
TOKENIZERS = {"qwen": "qwen2", "smol": "smollm", "llama3": "llama3"}
THOUGHT = "<think>\nhm\n\n</think>\n\n\nyes"


def turns(*pairs):
    return [{"role": r, "content": c} for r, c in pairs]


S, U, A = "system", "user", "assistant"
CONVERSATIONS = [
    turns((U, "hello")),
    turns((S, "Be brief."), (U, "hello")),
    turns((U, " hello\n"), (A, "  yes \n"), (U, "\u00a0and\u3000")),
    turns((S, " sys "), (U, "  one "), (A, "two"), (U, "three"), (A, " four ")),
    turns((U, "q"), (A, THOUGHT)),
    turns((U, "q"), (A, THOUGHT), (U, "r"), (A, "plain")),
    turns((U, "q"), (A, "a</think>b<think>c</think>\nd")),
    turns((U, "q"), (A, THOUGHT),
          (U, "<tool_response>t</tool_response>"), (A, "e")),
    turns((A, "first"), (U, "second")),
    turns((U, "one"), (U, "two")),
    turns((U, ""), (A, "")),
    turns((S, ""), (U, "one"), (A, "")),
]


def tokenizer_of(name):
    kind = next((v for k, v in TOKENIZERS.items() if name.startswith(k)),
                "metaspace")
    return PreTrainedTokenizerFast(
        tokenizer_file=f"tests/data/tokenizers/{kind}.json",
        bos_token="<|begin_of_text|>" if kind == "llama3" else "<s>",
        eos_token="<|end_of_text|>" if kind == "llama3" else "</s>"), kind


def render(tokenizer, messages, asks):
    # The date that Llama's templates take where there is no clock.
    dated = {} if "date_string" not in tokenizer.chat_template else {
        "date_string": "26 Jul 2024"}
    try:
        return tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=asks, **dated)
    except Exception as e:
        if type(e).__name__ != "TemplateError":
            raise
        return None


names = sys.argv[1:] or sorted(glob.glob(OUT + "/*.jinja"))
cases = []
for name in names:
    with open(name, newline="") as f:
        template = f.read()
    tokenizer, kind = tokenizer_of(os.path.basename(name))
    tokenizer.chat_template = template
    for messages in CONVERSATIONS:
        for asks in (False, True):
            text = render(tokenizer, messages, asks)
            cases.append({"template": os.path.basename(name),
                          "tokenizer": kind, "asks": asks,
                          "messages": messages, "text": text})
            if text is not None and not asks:
                cases[-1]["ids"] = tokenizer.encode(
                    text, add_special_tokens=False)
lines = ",\n".join(json.dumps(c, ensure_ascii=False, separators=(",", ":"))
                   for c in cases)
if sys.argv[1:]:
    print("[" + lines + "]")
else:
    with open(OUT + "/cases.json", "w") as f:
        f.write("[\n" + lines + "\n]\n")
