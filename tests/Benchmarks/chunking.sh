#!/usr/bin/env bash
# CPU of Standalone for a message that it forwards by BDAT, beside that for one by DATA. README.md says what is measured.
#
#   tests/Benchmarks/chunking.sh [--rounds N] [--quick] [--no-build]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
rounds=3 build=1 share=1
while (($#)); do
    case $1 in
        --rounds) rounds=$2; shift ;;
        --quick) rounds=1 share=5 ;;
        --no-build) build=0 ;;
        *) sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
    esac
    shift
done
for program in python3 smtp-source; do
    command -v $program >/dev/null || { echo "chunking.sh: $program is missing" >&2; exit 69; }
done
((build)) && dotnet build "$root/services/Standalone" -c Release -v quiet -nodeReuse:false >&2

work=$(mktemp -d "${BENCH_DIR:-/var/tmp}/mailpipeline-bench.XXXXXX")
results=$work/results
# shellcheck source=servers.sh
. "$here/servers.sh"
# shellcheck source=measure.sh
. "$here/measure.sh"
trap 'stop_server; stop_sink; rm -rf "$work"' EXIT

# A far end that offers CHUNKING, or does not: smtp-sink never does.
start_sink() { # chunking|data
    echo 0 0 >"$work/sink"
    python3 "$here/chunking.py" "$sink_port" "$1" "$work/sink" &
    sink_pid=$!
    wait_for_port "$sink_port"
}

sink_count() { cut -d' ' -f1 "$work/sink"; }

for ((round = 1; round <= rounds; round++)); do
    for how in data chunking; do
        start_sink "$how"
        start_standalone forward
        send 10 2048 $((6000 / share)) many
        wait_for_sink $((6000 / share))
        settle
        measure "$how" "$round" forward 10 2048 $((5000 / share)) many
        measure "$how" "$round" forward 10 200000 $((1000 / share)) many
        measure "$how" "$round" forward 4 5000000 $((50 / share)) many
        read -r all chunked <"$work/sink"
        [[ $how == data ]] && all=0
        ((chunked == all)) || { echo "chunking.sh: $chunked messages came by BDAT, and $all should have" >&2; exit 1; }
        stop_server
        stop_sink
    done
done

awk "$median_function"'
    { key = $3 " | " $4; if (!(key in seen)) { seen[key] = 1; order[++count] = key }; cpu[$1, key] = cpu[$1, key] " " $7 }
    END {
        print "| sessions | octets | DATA CPU s/1000 | BDAT CPU s/1000 | ratio |"
        print "| --: | --: | --: | --: | --: |"
        for (i = 1; i <= count; i++) {
            key = order[i]; d = median(cpu["data", key]); b = median(cpu["chunking", key])
            printf "| %s | %.3f | %.3f | %.2f |\n", key, d, b, (b > 0 ? d / b : 0)
        }
    }' "$results"
