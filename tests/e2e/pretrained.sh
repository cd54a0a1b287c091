#!/bin/sh
# Models of other tools: evaluated, continued, trained further.
. "$(dirname "$0")/tap"
. "$(dirname "$0")/ids"
data=$root/tests/data

loss_of() {
    $ANEMONE eval --checkpoint "$1" --data ids.bin --seq 16 --engine cpu |
        awk '/^loss/ { print $2 }'
}

equal_losses() {
    one=$(loss_of "$data/weights/pairs")
    for file in v0.bin maderix2.bin orion2.bin maderix4.bin; do
        other=$(loss_of "$data/weights/$file")
        echo "$one $other $file"
        [ -n "$one" ] && [ "$one" = "$other" ] || return 1
    done
    one=$(loss_of "$data/weights/blocks")
    for file in v1.bin f32.gguf f16.gguf bf16.gguf \
        blocks/model.safetensors; do
        other=$(loss_of "$data/weights/$file")
        echo "$one $other $file"
        [ -n "$one" ] && [ "$one" = "$other" ] || return 1
    done
    one=$(loss_of "$data/models/gpt2")
    other=$(loss_of "$data/weights/gpt2_v3.bin")
    echo "$one $other"
    [ -n "$one" ] && [ "$one" = "$other" ]
}
case_of 'a model in any format has one loss' equal_losses

train_on() {
    $ANEMONE train --init "$data/models/$1" --data ids.bin --out "$1" \
        --steps 6 --batch 4 --seq 12 --lr 0.01 --warmup 0 --sample-every 0 \
        --json "--engine=$2" >"$1.json" || return 1
    awk -F'"loss":' 'NR <= 6 { split($2, a, ","); loss[NR] = a[1] }
        END { print loss[1], loss[6]; exit !(loss[6] < loss[1]) }' "$1.json"
}
families() {
    for family in qwen2 gpt2; do
        train_on $family soft:m4 || return 1
    done
}
case_of 'a run trains from given weights' families

first_loss() {
    a=$(loss_of "$data/models/qwen3")
    $ANEMONE train --init "$data/models/qwen3" --data ids.bin --out first \
        --steps 1 --seq 16 --batch 2 --lr 1e-9 --sample-every 0 --quiet \
        --engine cpu || return 1
    b=$(loss_of first)
    echo "$a $b"
    [ "${a%??}" = "${b%??}" ]
}
case_of 'a run begins at the weights that it was given' first_loss

folders() {
    for family in qwen2 gpt2; do
        [ "$(grep -c '"model_type"' $family/config.json)" = 1 ] || return 1
        a=$(loss_of $family) b=$(loss_of $family/latest)
        c=$(loss_of $family/latest/model.safetensors)
        echo "$a $b $c"
        [ -n "$a" ] && [ "$a" = "$b" ] && [ "$b" = "$c" ] || return 1
    done
}
case_of 'a run, its step and its file are one model' folders

resumes() {
    $ANEMONE train --init "$data/models/gpt2" --data ids.bin --out gpt2 \
        --steps 6 --batch 4 --seq 12 --lr 0.01 --warmup 0 --sample-every 0 \
        >out && has out 'nothing to do'
}
case_of 'a finished run is left alone' resumes

generates() {
    cp -r "$data/models/llama2" model && chmod -R u+w model || return 1
    $ANEMONE generate --checkpoint model --tokens 4 2>err && return 1
    cat err
    has err '--tokenizer' && [ "$(wc -l <err)" -eq 1 ]
}
case_of 'text needs a tokenizer' generates

refuses() {
    $ANEMONE train --init "$data/models/gpt2" --model small --data ids.bin \
        --out no 2>err
    [ $? -eq 2 ] && [ ! -e no ] || return 1
    $ANEMONE eval --checkpoint no --data ids.bin 2>err && return 1
    cat err
    has err 'no such file or folder' || return 1
    $ANEMONE eval --checkpoint "$data/models/gpt2" --data ids.bin --seq 32 \
        2>err && return 1
    cat err
    has err '20 positions'
}
case_of 'what does not fit is said' refuses

done_testing
