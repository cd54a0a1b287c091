#!/bin/sh
# anemone probe: the framework of this machine, or what is absent.
. "$(dirname "$0")/tap"
probe() { "$ANEMONE" probe "$@" >"$TMP/said" 2>"$TMP/err"; }

absent() {
    ANEMONE_FRAMEWORKS=/nowhere probe
    [ $? -eq 1 ] && [ ! -s "$TMP/err" ] && has "$TMP/said" 'is absent' &&
        has "$TMP/said" '/nowhere' && has "$TMP/said" '--engine soft'
}
case_of 'no framework: said, with what to do' absent
absent_json() {
    ANEMONE_FRAMEWORKS=/nowhere probe --json
    [ $? -eq 1 ] && has "$TMP/said" '"open": false' &&
        has "$TMP/said" '"classes": []'
}
case_of 'no framework, as JSON' absent_json
no_library() {
    mkdir -p "$TMP/other" && echo text >"$TMP/other/libAppleNeuralEngine.so" &&
        cp "$TMP/other/libAppleNeuralEngine.so" \
            "$TMP/other/libAppleNeuralEngine.dylib" &&
        ANEMONE_FRAMEWORKS=$TMP/other probe
    [ $? -eq 1 ] && has "$TMP/said" 'is absent'
}
case_of 'a file that is no library' no_library
case_of 'another engine has none' fails_with 2 'expected apple' \
    "$ANEMONE" probe --engine soft

replica=$(dirname "$ANEMONE")/replica/libAppleNeuralEngine.so
if [ -e "$replica" ] || [ -n "${ANEMONE_FRAMEWORKS:-}" ]; then
    unset ANEMONE_REPLICA
    whole() {
        probe && has "$TMP/said" 'there is one, 16 cores, architecture h16g' &&
            has "$TMP/said" '0 differ' && has "$TMP/said" '0 with other types' &&
            has "$TMP/said" '-[_ANEInMemoryModelDescriptor perFileHashes]'
    }
    case_of 'the replica' whole
    all() {
        probe --all && has "$TMP/said" '_ANEQoSMapper : NSObject' &&
            has "$TMP/said" \
                '  -[_ANEInMemoryModel unloadWithQoS:error:] B28@0:8I16^@20  used'
    }
    case_of 'every class and method' all
    json() {
        probe --json && has "$TMP/said" '"open": true' &&
            has "$TMP/said" '"name": "_ANEChainingRequest"' &&
            has "$TMP/said" '"selector": "modelWithMILText:weights:optionsPlist:"' &&
            has "$TMP/said" '"state": "is missing"'
    }
    case_of 'all of it as JSON' json
    guest() {
        ANEMONE_REPLICA=machine=virtual,chip=m1 probe &&
            has "$TMP/said" 'none, says the framework' &&
            has "$TMP/said" 'h13g, this is a virtual machine'
    }
    case_of 'a guest of another chip' guest
fi
done_testing
