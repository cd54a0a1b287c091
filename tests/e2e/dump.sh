#!/bin/sh
# ANEMONE_DUMP: every stage of lowering is a program that runs.
. "$(dirname "$0")/tap"
. "$(dirname "$0")/tiny"

dumps() {
    ANEMONE_DUMP=stages train run 1 >out && ls stages &&
        ls stages/000-model-*.mil || return 1
    for stage in model-head-forward grad-head-backward cut-head-backward_0 \
        pad_ports-head-backward_0 fold-head-backward_0; do
        ls stages/*-$stage.mil || return 1
    done
}
case_of 'a run with a folder for stages' dumps
parse() {
    for file in stages/*.mil; do
        [ -s "$file" ] || return 1
        grep -q BLOBFILE "$file" || continue
        [ -s "stages/weights/$(basename "$file" .mil).bin" ] || return 1
    done
}
case_of 'every stage has its weights' parse
legal() {
    for file in stages/*-fold-attention-*.mil stages/*-fold-mlp-*.mil; do
        $ANEMONE check "$file" || return 1
    done
}
case_of 'what the engine gets breaks no rule' legal
all_run() {
    for file in stages/*.mil; do
        $ANEMONE run "$file" --random 1 --engine cpu || return 1
    done
}
case_of 'every stage runs' all_run

# same FIRST SECOND: two stages with the same inputs give the same outputs. What
# is not lowered to the end breaks rules.
run="$ANEMONE run --engine soft:m4,rules=off"
same() {
    first=$(ls stages/*-$1.mil) second=$(ls stages/*-$2.mil)
    $run "$first" --random 7 >out && cat out || return 1
    pairs=
    for name in $(grep -o '^[^ ]*' out); do
        pairs="$pairs $name=$name.npy"
    done
    $run "$first" --random 7 --output $pairs &&
        $run "$second" --random 7 --compare $pairs
}
case_of 'folding changes no bit' same pad_ports-attention-forward fold-attention-forward
case_of 'nor in a backward program' same pad_ports-mlp-backward_0 fold-mlp-backward_0
case_of 'differentiating changes no bit' same model-mlp-forward grad-mlp-forward

# Programs of every layer, once, though each step compiles them again.
baked() {
    ANEMONE_DUMP=baked train bake 2 --weights bake >out && ls baked &&
        [ "$(ls baked/*-bake-mlp_1-forward.mil | wc -l)" -eq 1 ] || return 1
    file=$(ls baked/*-fold-mlp_1-forward.mil)
    grep -q 'conv(' "$file" && $ANEMONE run "$file" --random 1
}
case_of 'baked weights' baked

generates() {
    ANEMONE_DUMP=stages2 $ANEMONE eval --checkpoint run --data text >out &&
        ls stages2/000-model-*.mil
}
case_of 'evaluation dumps as well' generates
nothing() {
    ANEMONE_DUMP= $ANEMONE eval --checkpoint run --data text && [ ! -e stages3 ]
}
case_of 'an empty variable is none' nothing
case_of 'a folder that cannot be made' fails_with 1 "text: exists and is no folder" \
    sh -c "ANEMONE_DUMP=text/stages $ANEMONE eval --checkpoint run --data text"

done_testing
