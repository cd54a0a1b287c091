#!/bin/sh
# Conversations: learned from JSONL with a model's own template and tokenizer,
# the loss on the answers alone; then asked for.
. "$(dirname "$0")/tap"
root=$(pwd)
case $ANEMONE in /*) ;; *) ANEMONE=$root/$ANEMONE ;; esac
cd "$TMP" || exit 1
mkdir model
cp "$root/tests/data/tokenizers/smollm.json" model/tokenizer.json
cp "$root/tests/data/chat/qwen25.jinja" model/chat_template.jinja
cat >tiny.json <<'END'
{"model_type": "llama", "hidden_size": 64, "intermediate_size": 128,
 "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
 "max_position_embeddings": 160, "vocab_size": 710, "rms_norm_eps": 1e-5,
 "rope_theta": 10000.0, "tie_word_embeddings": true}
END
cat >chat.jsonl <<'END'
{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello you"}, {"role": "user", "content": "and"}, {"role": "assistant", "content": "no more"}]}
{"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": "hi"}, {"role": "assistant", "content": "what"}]}
END
say() {
    $ANEMONE generate --checkpoint run --chat --temperature 0 --tokens 20 \
        --engine cpu "$@"
}

learns() {
    $ANEMONE train --data chat.jsonl --model tiny.json --tokenizer model \
        --mask-prompt --out run --steps 80 --batch 2 --seq 160 --validation 0 \
        --lr 0.01 --warmup 0 --sample-every 0 --engine cpu --quiet &&
        cmp model/chat_template.jinja run/chat_template.jinja
}
case_of 'conversations are learned; the run keeps the template' learns

answers() {
    [ "$(say --prompt hi)" = 'hello you' ] &&
        [ "$(say --prompt hi --system x)" = what ]
}
case_of 'a prompt is answered, under a system message too' answers

converses() {
    printf 'hi\r\n\nand\n' | say >out && cat out &&
        printf 'hello you\nno more\n' | cmp - out
}
case_of 'lines are turns of one conversation' converses

loss_of_step_1() {
    sed -n '1s/.*"loss": *\([^,]*\),.*/\1/p' "$1/metrics.jsonl"
}
masked() {
    $ANEMONE train --data chat.jsonl --model tiny.json --tokenizer model \
        --out whole --steps 1 --batch 2 --seq 160 --validation 0 --lr 0.01 \
        --warmup 0 --sample-every 0 --engine cpu --quiet || return 1
    one=$(loss_of_step_1 run) other=$(loss_of_step_1 whole)
    echo "$one $other"
    [ -n "$one" ] && [ -n "$other" ] && [ "$one" != "$other" ]
}
case_of 'the loss is another one over the prompts too' masked

pairs() {
    echo '{"prompt": "hi", "completion": "hello you"}' >pairs.jsonl
    $ANEMONE train --data pairs.jsonl --model tiny.json --tokenizer model \
        --mask-prompt --out pairs --steps 30 --batch 1 --seq 96 --validation 0 \
        --lr 0.01 --warmup 0 --sample-every 0 --engine cpu --quiet &&
        $ANEMONE generate --checkpoint pairs --chat --prompt hi \
            --temperature 0 --tokens 20 --engine cpu >out && cat out &&
        printf 'hello you' | cmp - out
}
case_of 'prompt and completion are a conversation' pairs

# Tokenizer and template go along in a GGUF.
gguf() {
    $ANEMONE export --checkpoint run --to gguf --out run.gguf 2>err &&
        [ ! -s err ] &&
        $ANEMONE data info run.gguf >info && cat info && has info GGUF &&
        mv run.gguf "$TMP/model/" &&
        [ "$(say --checkpoint model/run.gguf --prompt hi)" = 'hello you' ]
}
case_of 'a GGUF answers like the run' gguf

# A unigram model is kept as it is; --fresh knows the files of a run.
unigram() {
    cp "$root/tests/data/tokenizers/unigram.model" model/tokenizer.model &&
        rm model/tokenizer.json || return 1
    for how in --quiet --fresh; do
        $ANEMONE train --data chat.jsonl --model tiny.json --tokenizer model \
            --out unigram --steps 2 --stop-at 1 --batch 2 --seq 160 \
            --validation 0 --warmup 0 --sample-every 0 --engine cpu $how \
            >out || return 1
    done
    cmp model/tokenizer.model unigram/tokenizer.model &&
        [ -e unigram/chat_template.jinja ] &&
        $ANEMONE train --data chat.jsonl --out unigram --steps 2 --batch 2 \
            --seq 160 --validation 0 --warmup 0 --sample-every 0 \
            --engine cpu >out && has out 'resumed after step 1' &&
        $ANEMONE generate --checkpoint unigram --chat --prompt hi --tokens 2 \
            --engine cpu
}
case_of 'a run keeps a SentencePiece model' unigram

bytes() {
    $ANEMONE train --data tiny.json --model tiny.json --tokenizer bytes \
        --out bytes --steps 1 --batch 1 --seq 32 --sample-every 0 --quiet \
        --engine cpu &&
        $ANEMONE export --checkpoint bytes --to gguf --out bytes.gguf 2>err &&
        cat err && has err 'without tokenizer: llama.cpp has no tokenizer' &&
        [ -s bytes.gguf ]
}
case_of 'a tokenizer that llama.cpp has not is said' bytes

case_of 'a system needs a chat' fails_with 2 '--system goes with --chat' \
    $ANEMONE generate --checkpoint run --system x
echo '{{ "USER: " + message.content + "<end_of_turn>" }}' \
    >run/chat_template.jinja
case_of 'an unknown template is refused by its marks' fails_with 1 \
    'its marks are <end_of_turn>' \
    $ANEMONE generate --checkpoint run --chat --prompt hi --engine cpu
case_of 'in data too' fails_with 1 'its marks are <end_of_turn>' \
    $ANEMONE train --data chat.jsonl --model tiny.json --tokenizer run \
    --out other --steps 1 --quiet
done_testing
