#!/bin/sh
# Weights written for other tools and read back.
. "$(dirname "$0")/tap"
root=$(pwd)
case $ANEMONE in /*) ;; *) ANEMONE=$root/$ANEMONE ;; esac
cd "$TMP" || exit 1
data=$root/tests/data
i=0
: >ids.bin
while [ $i -lt 200 ]; do
    printf "\\$(printf '%03o' $(((i * i + 3 * i) % 13 + 1)))\\000" >>ids.bin
    i=$((i + 1))
done

loss_of() {
    $ANEMONE eval --checkpoint "$1" --data ids.bin --seq 16 --engine cpu |
        awk '/^loss/ { print $2 }'
}
export_to() { # FROM FORMAT DTYPE
    out=$(basename "$1")-$2-$3
    $ANEMONE export --checkpoint "$1" --to "$2" --dtype "$3" --out "$out"
}
near() { # A B SHARE
    echo "$1 $2"
    awk -v a="$1" -v b="$2" -v share="$3" 'BEGIN {
        d = a - b; if (d < 0) d = -d
        exit !(a > 0 && b > 0 && d <= share * a) }'
}

# The logits after every token, bit for bit.
logits_of() { # MODEL FILE
    $ANEMONE eval --checkpoint "$1" --data ids.bin --seq 16 --batch 5 \
        --engine cpu --logits "$2"
}
same_model() { # MODEL
    for to in safetensors gguf; do
        export_to "$data/$1" $to f32 && logits_of "$data/$1" want.npy &&
            logits_of "$out" got.npy && cmp want.npy got.npy || return 1
    done
}
exact() {
    for model in weights/pairs models/gpt2 models/qwen2 models/qwen3 \
        models/linear models/llama3; do
        same_model $model || return 1
    done
    # 12 windows of 16 tokens, 48 ids, fp32, after 128 bytes.
    [ "$(wc -c <got.npy)" -eq $((128 + 12 * 16 * 48 * 4)) ] || return 1
    export_to "$data/weights/pairs" llama2c f32 &&
        logits_of "$data/weights/pairs" want.npy &&
        logits_of "$out" got.npy && cmp want.npy got.npy
}
case_of 'fp32 out and in is the same model' exact

rounded() {
    want=$(loss_of "$data/weights/blocks")
    for how in 'safetensors f16' 'safetensors bf16' 'gguf f16' 'gguf bf16' \
        'gguf q8_0' 'llama2c q8_0'; do
        # shellcheck disable=SC2086 # two words
        export_to "$data/weights/blocks" $how &&
            near "$want" "$(loss_of "$out")" 0.005 || return 1
    done
}
case_of 'smaller types are near' rounded

refuses() {
    $ANEMONE export --checkpoint "$data/models/gpt2" --to llama2c --out x \
        2>err && return 1
    cat err
    has err 'another architecture' && [ "$(wc -l <err)" -eq 1 ] &&
        [ ! -e x ] || return 1
    $ANEMONE export --checkpoint "$data/models/llama3" --to llama2c --out x \
        2>err && return 1
    cat err
    [ ! -e x ] && mkdir there &&
        ! $ANEMONE export --checkpoint "$data/models/gpt2" --to safetensors \
            --out there 2>err && cat err && has err 'is there already' &&
        [ -z "$(ls | grep tmp)" ]
}
case_of 'what a format cannot hold is said, and nothing is written' refuses

done_testing
