#!/bin/sh
# The demo's model (preset `small`, its batch and windows) trained through
# Apple's framework, as the replica has it: losses, weights and optimizer's
# state are those of the software engine, bit for bit, in the three weight
# modes and through the compile limit, where the process starts itself again.
. "$(dirname "$0")/tap"
. "$(dirname "$0")/replica"
. "$(dirname "$0")/tiny"

# The program under a name of its own, which a restart starts again: a line in
# `starts` for each process.
cat >counted <<END
#!/bin/bash
echo >>'$TMP/starts'
exec -a "\$0" '$ANEMONE' "\$@"
END
chmod +x counted

n=6 # steps, of 22 programs each
# demo FOLDER OPTION...
demo() {
    folder=$1
    shift
    : >starts
    ./counted train --data text --model small --out "$folder" --steps $n \
        --seed 5 --sample-every 0 --quiet "$@" || return
    echo "# figure: $folder: $n steps, processes: $(wc -l <starts), losses:" \
        $(sed -n 's/.*"loss":\([0-9.]*\).*/\1/p' "$folder/metrics.jsonl" |
            sed -n '1p;$p') >>figures
}
cleaned() {
    find "$TMPDIR" -name 'journal-*' -o -name 'model.mil' | tee left
    [ ! -s left ]
}
# as_soft MODE LEAST_PROCESSES
as_soft() {
    demo "$1" --weights "$1" --engine apple && same_run soft "$1" &&
        cleaned && [ "$(wc -l <starts)" -ge "$2" ]
}
case_of 'the demo on the software engine' demo soft
case_of 'streamed weights' as_soft stream 1
case_of 'baked weights, through the compile limit' as_soft bake 2
case_of 'reloaded weights, through the compile limit' as_soft reload 2
in_hw() {
    n=2
    demo soft_hw --numerics hw && for mode in stream bake reload; do
        demo ${mode}_hw --weights $mode --engine apple --numerics hw &&
            same_run soft_hw ${mode}_hw && cleaned || return 1
    done
}
case_of 'in hw, the three modes' in_hw
cat figures
done_testing
