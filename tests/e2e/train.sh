#!/bin/sh
# Train, evaluate, generate: the whole way with a tiny model.
. "$(dirname "$0")/tap"
. "$(dirname "$0")/tiny"

learns() {
    train run 60 --eval-every 20 --save-every 20 --json >steps.json || return 1
    [ "$(wc -l <steps.json)" -eq 61 ] &&
        [ "$(grep -c '"type":"step"' steps.json)" -eq 60 ] &&
        tail -n 1 steps.json | grep -q '"type":"summary".*"finished":true' ||
        return 1

    awk -F'"loss":' 'NR <= 60 { split($2, a, ","); loss[NR] = a[1] }
        END { print loss[1], loss[60]; exit !(loss[60] < 0.8 * loss[1]) }' \
        steps.json
}
case_of 'the loss falls by a fifth' learns

metrics() {
    [ "$(wc -l <run/metrics.jsonl)" -eq 60 ] || return 1
    for key in step loss lr grad_norm tokens ms; do
        [ "$(grep -c "\"$key\":" run/metrics.jsonl)" -eq 60 ] || return 1
    done
    [ "$(grep -c '"val_loss":' run/metrics.jsonl)" -eq 3 ]
}
case_of 'metrics.jsonl has one object a step' metrics

folder() {
    for file in config.json tokenizer.json latest/model.safetensors \
        latest/state.safetensors model.safetensors state.safetensors best \
        step-00000060/model.safetensors; do
        [ -e "run/$file" ] || { echo "no $file"; return 1; }
    done
    ls run | grep -c '^step-' | grep -qx '[1-3]'
}
case_of 'the run folder' folder

complete() {
    ls -lR run | grep -v lock >before
    train run 60 >out && ls -lR run | grep -v lock >after &&
        diff before after && has out 'nothing to do'
}
case_of 'a finished run is left alone' complete

evaluates() {
    $ANEMONE eval --checkpoint run --data text >out && cat out &&
        has out 'nats per token' && has out 'perplexity' &&
        has out 'bits per byte' || return 1
    $ANEMONE eval --checkpoint run --data text --json >json && cat json &&
        awk -F'[:,}]' '{ for (i = 1; i < NF; i++) v[$i] = $(i + 1) }
            END { loss = v["{\"loss\""]; p = v["\"perplexity\""]
                b = v["\"bits_per_byte\""]
                x = p / exp(loss) - 1
                # tokens that are no bytes: the end of the text
                y = b * log(2) / loss - 1
                print x, y
                exit !(loss > 0 && x * x < 1e-18 && y * y < 1e-6) }' json
}
case_of 'eval' evaluates

generates() {
    $ANEMONE generate --checkpoint run --prompt 'static ' --tokens 40 \
        --seed 3 >1.txt &&
        $ANEMONE generate --checkpoint run/latest --prompt 'static ' \
            --tokens 40 --seed 3 --threads 1 >2.txt && cat 1.txt &&
        cmp 1.txt 2.txt && [ "$(head -c 7 1.txt)" = 'static ' ] &&
        [ "$(wc -c <1.txt)" -gt 7 ] || return 1
    $ANEMONE generate --checkpoint run --tokens 20 --temperature 0 >3.txt &&
        $ANEMONE generate --checkpoint run --tokens 20 --top-k 1 --seed 9 \
            >4.txt && cmp 3.txt 4.txt
}
case_of 'generate' generates
stops() { # the first small letter that was made ends the text
    cut=$(tail -c +8 1.txt | LC_ALL=C tr -dc a-z | head -c 1)
    [ -n "$cut" ] && $ANEMONE generate --checkpoint run --prompt 'static ' \
        --tokens 40 --seed 3 --stop never "$cut" >5.txt &&
        [ "$(wc -c <5.txt)" -lt "$(wc -c <1.txt)" ] &&
        head -c "$(wc -c <5.txt)" 1.txt | cmp - 5.txt
}
case_of 'a stop string ends the text' stops

reader_leaves() {
    $ANEMONE generate --checkpoint run --tokens 200 2>err | head -c 1 >/dev/null
    cat err
    [ "$(wc -l <err)" -le 1 ]
}
case_of 'generate survives a reader that leaves' reader_leaves

dry() {
    train dry 100 --dry-run >out && cat out && [ ! -e dry ] || return 1
    for text in parameters 'FLOPs per step' memory programs \
        'evaluations per step'; do
        has out "$text" || return 1
    done
    train dry 100 --dry-run --json >json && has json '"flops_per_step":' &&
        [ "$(wc -l <json)" -eq 1 ]
}
case_of 'a dry run writes nothing' dry

plain() {
    train plain 10 --sample-every 5 --sample-tokens 8 >out && cat out &&
        has out 'software Neural Engine' && has out 'sample after step 5' &&
        has out 'step 10/10  loss ' && has out 'generate --checkpoint plain' &&
        ! grep -q "$(printf '\033')" out
}
case_of 'plain lines when piped' plain
quiet() {
    train quiet 3 --quiet >out 2>&1 && [ ! -s out ] && [ -e quiet/latest ]
}
case_of 'quiet' quiet

threads() {
    train one 5 --threads 1 --quiet && train three 5 --threads 3 --quiet &&
        same_run one three
}
case_of 'any number of threads gives the same bits' threads

accumulates() {
    train accum 4 --accum 3 --quiet && tail -n 1 accum/metrics.jsonl &&
        grep -q '"tokens": *1536[,}]' accum/metrics.jsonl
}
case_of 'accumulation counts its tokens' accumulates

synthetic() {
    $ANEMONE train --data random --model tiny.json --out random --steps 3 >out &&
        cat out && has out 'random tokens'
}
case_of 'random data' synthetic

done_testing
