#!/bin/sh
# How weights reach the engine: inputs, constants compiled again, constants
# loaded again. One run, three ways, the same bits; past the compile limit.
. "$(dirname "$0")/tap"
. "$(dirname "$0")/tiny"

steps=30
run() {
    folder=$1
    shift
    train "$folder" $steps --eval-every 7 "$@"
}
case_of 'weights streamed' run streamed --quiet

# 10 programs a step: some 300 compiles, of which a process has 119.
baked() {
    run baked --weights bake --quiet && same_run streamed baked
}
case_of 'weights baked, past the compile limit' baked

# 11 at the start, and no compile of a whole step after it: a process a step.
narrow() {
    run narrow --weights bake --quiet --engine soft:m4,compiles=12 &&
        same_run streamed narrow
}
case_of 'weights baked, a new process for every step' narrow

reloaded() {
    run reloaded --weights reload --quiet && same_run streamed reloaded
}
case_of 'weights loaded again' reloaded

# The same in the chip's numerics.
in_hw() {
    run hw_streamed --quiet --numerics hw &&
        run hw_baked --quiet --numerics hw --weights bake &&
        same_run hw_streamed hw_baked &&
        run hw_reloaded --quiet --numerics hw --weights reload &&
        same_run hw_streamed hw_reloaded && ! same_run streamed hw_streamed
}
case_of 'all three in hw, past the compile limit' in_hw

case_of 'a reload that has no effect is refused' \
    fails_with 1 'the engine went on with the old weights' \
    run stale --weights reload --quiet --engine soft:m4,reload=stale

case_of 'in hw as well' \
    fails_with 1 'the engine went on with the old weights' \
    run hw_stale --weights reload --quiet --numerics hw \
    --engine soft:m4,reload=stale

case_of 'programs that cannot all be live' \
    fails_with 1 'Program load failure (0x50004)' \
    run live --weights bake --quiet --engine soft:m4,live=5

case_of 'programs that cannot all be compiled' \
    fails_with 1 'ANECCompile() FAILED' \
    run few --weights bake --quiet --engine soft:m4,compiles=5

case_of 'a setting that is none' \
    fails_with 2 'is no setting' \
    run none --quiet --engine soft:m4,compile=5

done_testing
