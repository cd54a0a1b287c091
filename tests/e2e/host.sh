#!/bin/sh
# Training as a guest: a machine that runs on battery, gets hot, wants to
# sleep. Linux's files are a folder here; macOS's functions are those of
# tests/host_stub.c.
stub=$(cd "${BUILD:-build}" && pwd)/tests/libhost.so
. "$(dirname "$0")/tap"
. "$(dirname "$0")/tiny"

supply=machine/power_supply
mkdir -p $supply/AC $supply/BAT0 machine/thermal
echo Mains >$supply/AC/type
echo Battery >$supply/BAT0/type
echo 43 >$supply/BAT0/capacity
on_mains() { echo Charging >$supply/BAT0/status && echo 1 >$supply/AC/online; }
on_battery() { echo Discharging >$supply/BAT0/status && echo 0 >$supply/AC/online; }

# saying TEXT FILE: waits at most ten seconds until the file has the text.
saying() {
    tries=0
    until grep -qF -e "$1" "$2" 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -lt 1000 ] || { cat "$2"; return 1; }
        sleep 0.01
    done
}

export ANEMONE_HOST=$TMP/machine
on_mains
train mains 6 --quiet

runs_by_default() {
    on_battery
    train run 6 >out && has out 'battery 43%' && same_run run mains &&
        [ "$(grep -c '"on_battery":1,"charge":43}' run/metrics.jsonl)" -eq 6 ] &&
        [ "$(grep -c '"on_battery":0,"charge":43}' mains/metrics.jsonl)" -eq 6 ]
}
case_of 'on battery a run goes on, and says so' runs_by_default

pauses() {
    on_battery
    become=exec
    train pause 6 --battery pause >pause.out &
    pid=$!
    become=
    saying 'paused after step 0: on battery (43%)' pause.out || return 1
    sleep 0.5
    [ ! -s pause/metrics.jsonl ] && [ -e pause/step-00000000 ] || return 1
    on_mains
    wait $pid && has pause.out 'on mains power again after' &&
        has pause.out '6/6' && same_run pause mains &&
        [ "$(grep -c 'paused after' pause.out)" -eq 1 ]
}
case_of '--battery pause waits for mains power' pauses

stops() {
    on_battery
    become=exec
    train stopped 6 --battery pause --json >stopped.out &
    pid=$!
    become=
    saying '{"type":"pause","step":0,"charge":43}' stopped.out || return 1
    kill -TERM $pid
    wait $pid && on_mains && ! grep -q '"type":"step"' stopped.out &&
        train stopped 6 --battery pause --quiet && same_run stopped mains
}
case_of 'SIGTERM ends the waiting, and the run can go on later' stops

ends() {
    on_mains
    train ends 6 --stop-at 3 --quiet && on_battery &&
        train ends 6 --stop-at 3 --battery pause >out && ! grep -q paused out
}
case_of 'where nothing is left to do it does not wait' ends

while_it_runs() {
    on_mains
    become=exec
    train long 100000 --battery pause --json >long.out &
    pid=$!
    become=
    saying '"step":2,' long.out && on_battery && saying '"type":"pause"' long.out &&
        on_mains && saying '"type":"continue"' long.out
    well=$?
    kill -TERM $pid
    wait $pid && [ $well -eq 0 ] || return 1
    step=$(sed -n 's/.*"type":"pause","step":\([0-9]*\).*/\1/p' long.out)
    echo "paused after $step"
    [ "$step" -ge 2 ] && grep -q '"type":"step","step":'$((step + 1)), long.out
}
case_of 'a run under way pauses between two steps and goes on' while_it_runs

case_of 'another word' fails_with 2 'expected run or pause' train other 1 \
    --battery perhaps
rm -r machine/power_supply
nothing_known() {
    train unknown 6 --battery pause --json >out && same_run unknown mains &&
        ! grep -q 'on_battery\|charge\|thermal' unknown/metrics.jsonl &&
        ! grep -q '"power"\|"charge"\|"thermal"' out
}
case_of 'where nothing is told it runs, and says nothing' nothing_known

# ---- the functions of macOS ----

export ANEMONE_HOST=$stub HOST_STUB=$TMP/mac
mac() { echo "$*" >mac && rm -f mac.log; }

hot() {
    mac power=battery charge=80 thermal=2 cores=3
    train hot 6 >out && has out 'battery 80%, heat serious' &&
        [ "$(grep -c '"on_battery":1,"charge":80,"thermal":2}' hot/metrics.jsonl)" -eq 6 ]
}
case_of 'a Mac: battery and heat are shown' hot

awake() {
    cat mac.log
    head -n 1 mac.log | grep -q 'awake PreventUserIdleSystemSleep anemone train' &&
        tail -n 1 mac.log | grep -q 'asleep 42' &&
        [ "$(grep -c awake mac.log)" -eq 1 ] && grep -q '^qos 25 0' mac.log
}
case_of 'it stays awake for the run, its workers are favoured' awake

sleeps_while_paused() {
    mac power=battery charge=80 cores=2
    become=exec
    train asleep 6 --battery pause >asleep.out &
    pid=$!
    become=
    saying 'paused after step 0: on battery (80%)' asleep.out &&
        saying asleep mac.log || return 1
    mv mac.log first.log
    echo power=ac charge=80 >mac
    wait $pid && [ "$(grep -c '^awake' mac.log)" -eq 1 ] &&
        tail -n 1 mac.log | grep -q 'asleep 42'
}
case_of 'while it pauses the machine may sleep' sleeps_while_paused

limited() {
    mac cores=2
    $ANEMONE --version >out && has out 'Accelerate' && ! grep -q 'own' out &&
        train limited 6 >out && ! grep -q 'sgemm free' mac.log && ! grep products out
}
case_of 'Accelerate is told to use one thread a product' limited

unlimited() {
    mac cores=2 blas=old
    $ANEMONE --version >out && has out 'Accelerate (with threads of its own)' &&
        train unlimited 6 >out && has out 'products' && has out 'cannot be told' &&
        has mac.log 'sgemm free' && same_run unlimited limited
}
case_of 'where it cannot be told, that is said' unlimited

doctor() {
    mac power=battery charge=43 thermal=2 blas=old
    $ANEMONE doctor >out && cat out && has out 'battery, charge 43%' &&
        has out 'serious: the system slows' && has out 'cannot be told' &&
        $ANEMONE doctor --json >json && has json '"charge": 43' &&
        has json '"thermal": "serious"'
}
case_of 'doctor tells of all three' doctor

others() {
    mac cores=2
    head -c 2000 text >short &&
        $ANEMONE eval --checkpoint mains --data short >out && cat mac.log &&
        grep -q 'awake PreventUserIdleSystemSleep anemone eval' mac.log &&
        tail -n 1 mac.log | grep -q 'asleep 42' || return 1
    mac cores=2
    $ANEMONE capture --only add --out add.capture --quiet && cat mac.log &&
        grep -q 'awake PreventUserIdleSystemSleep anemone capture' mac.log &&
        tail -n 1 mac.log | grep -q 'asleep 42'
}
case_of 'eval and capture stay awake too' others
done_testing
