#!/bin/sh
# Adapters on the command line: trained, killed and gone on with, evaluated,
# handed to other tools and back, merged.
. "$(dirname "$0")/tap"
root=$(pwd)
case $ANEMONE in /*) ;; *) ANEMONE=$root/$ANEMONE ;; esac
cd "$TMP" || exit 1
base=$root/tests/data/models/llama3
i=0
: >ids.u16
while [ $i -lt 400 ]; do
    printf "\\$(printf '%03o' $(((i * i + 3 * i) % 13 + 1)))\\000" >>ids.u16
    i=$((i + 1))
done

lora() { # RUN OPTIONS..., in place of this shell where `how` is exec
    run=$1
    shift
    ${how:-} $ANEMONE train --data ids.u16 --init "$base" --tokenizer bytes --lora 4 \
        --seq 16 --steps 6 --batch 2 --lr 0.02 --sample-every 0 --quiet \
        --engine soft:m4 --out "$run" "$@"
}
loss_of() { # OPTIONS...
    $ANEMONE eval "$@" --data ids.u16 --seq 16 --engine cpu |
        awk '/^loss/ { print $2 }'
}
same_loss() { # A B
    echo "$1 $2"
    [ -n "$1" ] && [ "$1" = "$2" ]
}

trains() {
    lora whole && [ -f whole/step-00000006/adapter_config.json ] &&
        [ ! -e whole/model.safetensors ] &&
        [ "$(wc -c <whole/adapter_model.safetensors)" -lt 4000 ] || return 1
    before=$(loss_of --checkpoint "$base")
    after=$(loss_of --checkpoint whole)
    echo "$before $after"
    awk -v a="$before" -v b="$after" 'BEGIN { exit !(b > 0 && b < a - 0.01) }'
}
goes_on() {
    lora cut --stop-at 2 && lora cut --stop-at 4 && lora cut &&
        cmp whole/adapter_model.safetensors cut/adapter_model.safetensors &&
        cmp whole/state.safetensors cut/state.safetensors
}
killed() { # whenever that is
    for pause in 0.02 0.05 0.1 0.2 0.4; do
        (how=exec && lora dead --save-every 1) &
        pid=$!
        sleep $pause
        kill -9 $pid 2>/dev/null
        wait $pid 2>/dev/null
        lora dead --save-every 1 &&
            cmp whole/adapter_model.safetensors \
                dead/adapter_model.safetensors &&
            cmp whole/state.safetensors dead/state.safetensors &&
            [ "$(wc -l <dead/metrics.jsonl)" -eq 6 ] || return 1
        rm -r dead
    done
}
begins_anew() { # over adapters of another shape, and without adapters
    lora anew && lora anew --fresh --lora-targets k_proj &&
        $ANEMONE train --data ids.u16 --init "$base" --tokenizer bytes \
            --seq 16 --steps 1 --batch 1 --sample-every 0 --quiet --fresh \
            --engine cpu --out anew && [ ! -e anew/adapter_config.json ] &&
        [ -f anew/model.safetensors ]
}
is_a_model() {
    same_loss "$(loss_of --checkpoint whole)" \
        "$(loss_of --checkpoint "$base" --adapter whole)" &&
        same_loss "$(loss_of --checkpoint whole)" \
            "$(loss_of --checkpoint whole/step-00000006)"
}
round_trip() {
    $ANEMONE export --checkpoint whole --to mlx-lm --out mlx &&
        $ANEMONE export --checkpoint "$base" --adapter mlx --to peft \
            --out peft &&
        cmp peft/adapter_model.safetensors whole/adapter_model.safetensors
}
merges() {
    $ANEMONE export --checkpoint whole --merge --to safetensors --out merged &&
        same_loss "$(loss_of --checkpoint whole)" \
            "$(loss_of --checkpoint merged)" &&
        $ANEMONE export --checkpoint "$base" --adapter mlx --merge --to gguf \
            --dtype f32 --out merged.gguf &&
        same_loss "$(loss_of --checkpoint whole)" \
            "$(loss_of --checkpoint merged.gguf)"
}
goes_on_elsewhere() {
    $ANEMONE train --data ids.u16 --adapter whole --tokenizer bytes --seq 16 \
        --steps 2 --batch 2 --sample-every 0 --quiet --engine cpu --out next &&
        $ANEMONE train --data ids.u16 --init "$base" --adapter mlx --seq 16 \
            --tokenizer bytes --steps 2 --batch 2 --sample-every 0 --quiet \
            --engine cpu --out other &&
        cmp next/adapter_model.safetensors other/adapter_model.safetensors
}
other_base() { # the weights under the adapters are part of the run
    cp -r "$base" copy && base=copy && lora moved --stop-at 2 && rm -r copy &&
        $ANEMONE export --checkpoint whole --merge --to safetensors \
            --out copy &&
        fails_with 2 'base: the run in moved has weights' lora moved
}
refusals() {
    fails_with 2 "takes whole weights" $ANEMONE export --checkpoint whole \
        --to safetensors --out x &&
        fails_with 2 "has none" $ANEMONE export --checkpoint "$base" --to peft \
            --out x &&
        fails_with 2 "has no adapters" $ANEMONE export --checkpoint "$base" --merge \
            --out x &&
        fails_with 1 "has adapters itself" $ANEMONE train --data ids.u16 --lora 2 \
            --init whole --out x &&
        fails_with 2 "which --lora RANK makes" $ANEMONE train \
            --data ids.u16 --init "$base" --lora-alpha 2 --out x &&
        fails_with 2 "give it with --init" $ANEMONE train --data ids.u16 --lora 2 \
            --out x && [ ! -e x ]
}

case_of 'adapters are trained, and nothing else is written' trains
case_of 'a run of adapters goes on, bit for bit' goes_on
case_of 'a killed run of adapters goes on' killed
case_of 'adapters make room for others' begins_anew
case_of 'a run of adapters is a model' is_a_model
case_of 'to mlx-lm and back to PEFT' round_trip
case_of 'merged weights' merges
case_of 'adapters of others are trained' goes_on_elsewhere
case_of 'other weights under the adapters' other_base
case_of 'what is refused' refusals

done_testing
