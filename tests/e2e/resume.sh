#!/bin/sh
# Interrupted runs: killed, stopped, ended by a signal; each goes on to the bits
# of a run that was not.
. "$(dirname "$0")/tap"
. "$(dirname "$0")/tiny"

# Steps of some 50 ms, so that there is time to interfere.
slow() {
    folder=$1
    shift
    train "$folder" 20 --accum 8 --save-every 5 --eval-every 5 "$@"
}
case_of 'a run of 20 steps' slow whole --quiet

killed() {
    { become="exec"; slow killed --quiet; } &
    wait_for killed/step-00000010/state.safetensors || return 1
    kill -9 $!
    wait $!
    [ ! -e killed/step-00000020 ] || { echo 'it ended too soon'; return 1; }
    slow killed >out && cat out && has out 'resumed after step 1' &&
        same_run whole killed
}
case_of 'kill -9 after 10 steps, then 10 more' killed

stopped() {
    slow stopped --stop-at 10 >out && cat out && has out 'Stopped after step 10' &&
        has out 'Resume with' && ! grep -q -e '--stop-at' out &&
        slow stopped --quiet && same_run whole stopped
}
case_of '--stop-at 10, then 10 more' stopped

limited() {
    slow limited --tokens 7000 >out && cat out && has out 'Stopped after step 7' &&
        slow limited --quiet && same_run whole limited
}
case_of '--tokens, then the rest' limited

# ended SIGNAL: finishes the step, saves, exits 0, prints what resumes.
ended() {
    rm -rf ended
    { become="exec"; slow ended >out 2>err; } &
    wait_for ended/step-00000005/state.safetensors || return 1
    kill -s "$1" $!
    wait $!
    status=$?
    cat out err
    [ $status -eq 0 ] && [ ! -s err ] && has out 'Interrupted after step' &&
        [ ! -e ended/step-00000020 ] || return 1
    step=$(sed -n 's/^Interrupted after step \([0-9]*\) .*/\1/p' out)
    [ "$(readlink ended/latest)" = "$(printf 'step-%08d' "$step")" ] || return 1
    command=$(sed -n '/^Resume with/,$p' out | sed -n 's/^  //p' | head -n 1)
    echo "$command"
    sh -c "$command --quiet" && same_run whole ended
}
case_of 'SIGTERM' ended TERM
case_of 'SIGINT' ended INT

locked() {
    { become="exec"; slow locked --quiet; } &
    wait_for locked/metrics.jsonl || return 1
    fails_with 1 'in use' slow locked
    result=$?
    kill -9 $!
    wait $!
    return $result
}
case_of 'a second process is refused' locked

torn() {
    slow torn --stop-at 10 --quiet && slow torn --stop-at 12 --quiet || return 1
    rm -rf torn/step-00000012 && ln -sfn step-00000010 torn/latest
    printf '{"step": 13, "lo' >>torn/metrics.jsonl
    mkdir torn/step-00000012.tmp && echo half >torn/step-00000012.tmp/model.safetensors
    slow torn --quiet && same_run whole torn
}
case_of 'metrics are cut back, halves are ignored' torn

other_settings() {
    cp -R stopped other && rm -f other/.lock
    for option in --seed=6 --batch=2 --accum=4 --seq=16 --lr=0.5 --clip=2; do
        key=${option%%=*}
        fails_with 2 "${key#--}" slow other "$option" || return 1
    done
    cp text text2 && echo more >>text2
    fails_with 2 data $ANEMONE train --data text2 --model tiny.json \
        --out other --steps 20 --batch 4 --accum 8 --seed 5
}
case_of 'settings that must match are named' other_settings
other_interval() {
    slow changed --stop-at 10 --quiet && slow changed --threads 1 --quiet &&
        same_run whole changed
}
case_of 'threads may change' other_interval

longer() {
    train grown 4 --quiet && train grown 6 >out && cat out &&
        has out 'resumed after step 4' &&
        has out 'planned anew: it was 4 steps' && [ -e grown/step-00000006 ]
}
case_of 'a longer run goes on' longer

# Model and tokenizer are the run's when none are told.
untold() {
    train untold 6 --quiet --tokenizer "$root/tests/data/tokenizers/gpt2.json" \
        --stop-at 3 --model tiny701.json &&
        $ANEMONE train --data text --out untold --steps 6 --batch 4 \
            --sample-every 0 --seed 5 >out && cat out &&
        has out 'vocabulary 701' && has out 'resumed after step 3' &&
        [ -e untold/step-00000006 ]
}
sed 's/257/701/' tiny.json >tiny701.json
case_of 'a run has its own model and tokenizer' untold

fresh() {
    train fresh 3 --quiet --seed 9 && train fresh 3 --fresh --quiet &&
        train fresh2 3 --quiet && same_run fresh fresh2
}
case_of '--fresh starts anew' fresh

foreign() {
    mkdir foreign && echo precious >foreign/thesis.txt
    fails_with 2 'holds thesis.txt' train foreign 3 --fresh &&
        [ "$(cat foreign/thesis.txt)" = precious ]
}
case_of '--fresh spares a folder that is no run' foreign

done_testing
