#!/bin/sh
# Every family as a user trains it on the engine: in the chip's numerics too,
# with weights streamed and baked; what the engine gets breaks no rule.
. "$(dirname "$0")/tap"
. "$(dirname "$0")/ids"

# train FAMILY FOLDER OPTION...: the loss falls.
train() {
    family=$1 folder=$2
    shift 2
    $ANEMONE train --init "$root/tests/data/models/$family" --data ids.bin \
        --out "$folder" --steps 6 --batch 4 --seq 12 --lr 0.01 --warmup 0 \
        --sample-every 0 --json --engine soft:m4 "$@" >"$folder.json" ||
        return 1
    awk -F'"loss":' 'NR <= 6 { split($2, a, ","); loss[NR] = a[1] }
        END { print loss[1], loss[6]; exit !(loss[6] < loss[1]) }' \
        "$folder.json"
}

# legal FOLDER: no breach on the m4 that is an error, and no program of more than
# 8 inputs.
legal() {
    n=0
    for file in "$1"/*-fold-attention*.mil "$1"/*-fold-mlp*.mil; do
        n=$((n + 1))
        $ANEMONE check --chip m4 "$file" >found || { cat found; return 1; }
        ! grep R-39 found || return 1
    done
    echo "$n programs"
    [ $n -ge 5 ]
}
streamed() {
    export ANEMONE_DUMP="$1.stages"
    train "$1" "$1" --numerics hw
    status=$?
    unset ANEMONE_DUMP
    [ $status -eq 0 ] && legal "$1.stages"
}
# Constants are programs of every layer: two.
baked() {
    export ANEMONE_DUMP="$1-baked.stages"
    train "$1" "$1-baked" --weights bake
    status=$?
    unset ANEMONE_DUMP
    [ $status -eq 0 ] && legal "$1-baked.stages"
}
for family in llama2 llama3 linear mistral qwen2 qwen3 gpt2; do
    case_of "$family, weights streamed, numerics hw" streamed $family
    case_of "$family, weights baked" baked $family
done
done_testing
