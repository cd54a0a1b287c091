#!/bin/sh
# Runs a client of Apple's Neural Engine framework against the replica:
#     build/replica/run CLIENT ARGUMENTS
# What ANEMONE_REPLICA may hold is in docs/replica.md.
set -eu
if [ $# -eq 0 ]; then
    echo "usage: $0 CLIENT [ARGUMENT...]" >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
export ANEMONE_REPLICA_LIBRARY="$here/libAppleNeuralEngine.so"
export LD_LIBRARY_PATH="$here${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export LD_PRELOAD="$here/libpreload.so${LD_PRELOAD:+:$LD_PRELOAD}"
exec "$@"
