#!/usr/bin/env bash
# Runs Standalone (or the separate services: --cluster, or both: --all) and Postfix in turn on this machine, with the same
# client (smtp-source), the same far end (smtp-sink) and the durability each has by default, and prints medians and ratios.
# README.md says how to read them.
#
#   tests/Benchmarks/compare.sh [--cluster|--all] [--quick] [--large] [--checks] [--rounds N] [--only NAME] [--work DIR] [--no-build]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
source "$here/servers.sh"
source "$here/cluster.sh"
source "$here/measure.sh"

servers="postfix standalone" rounds=3 scale=1 large=0 checks=0 only="" build=1 base=${BENCH_DIR:-/var/tmp}
while (($#)); do
    case $1 in
        --cluster) servers="postfix cluster" ;;
        --all) servers="postfix standalone cluster" ;;
        --quick) rounds=1 scale=5 ;;
        --large) large=1 ;;
        --checks) checks=1 ;;
        --rounds) rounds=$2; shift ;;
        --only) only=$2; shift ;;
        --work) base=$2; shift ;;
        --no-build) build=0 ;;
        *) sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
    esac
    shift
done

[[ $(id -u) == 0 ]] || { echo "compare.sh: Postfix has to be started by root" >&2; exit 77; }
require() { # Debian package, programs
    local program
    for program in "${@:2}"; do
        compgen -G "$program" >/dev/null || command -v "$program" >/dev/null && continue
        echo "compare.sh: $program is missing; install it with: apt-get install --no-install-recommends $1" >&2
        exit 69
    done
}
require postfix postfix smtp-source smtp-sink
if [[ $servers == *cluster* ]]; then
    require postgresql '/usr/lib/postgresql/*/bin/postgres'
    require rabbitmq-server rabbitmq-server
    require redis-server redis-server
    require curl curl
fi
# Standalone refers to the four services.
((build)) && dotnet build "$root/services/Standalone" -c Release -v quiet -nodeReuse:false >&2

work=$(mktemp -d "$base/mailpipeline-bench.XXXXXX")
chmod 755 "$work"
results=$work/results
trap 'stop_server; stop_sink; rm -rf "$work"' EXIT

# What is measured, sessions, octets of a message, messages, and how many of them share a session.
scenarios="
accept 20 2048 10000 many
accept 20 2048 5000 one
accept 100 2048 10000 many
accept 100 2048 5000 one
accept 20 102400 2000 many
accept 20 102400 1000 one
accept 100 102400 2000 many
forward 20 2048 10000 many
forward 100 2048 10000 many
forward 20 102400 1500 many
"

((large)) && scenarios+="accept 100 26214400 $((100 * scale)) one
"

run_mode() { # server mode round
    local server=$1 mode=$2 round=$3 kind sessions octets messages per
    start_sink
    "start_$server" "$mode"
    # The first messages pay for what is loaded and compiled once in the life of a server; both sides get them unmeasured. The
    # runtime compiles what is called often a second time, and a new program's last hot methods only after some 10,000 messages.
    send 20 2048 12000 many
    send 20 2048 3000 one
    send 20 102400 200 many
    [[ $mode == forward ]] && wait_for_sink 15200
    settle
    while read -r kind sessions octets messages per; do
        [[ $kind == "$mode" ]] || continue
        measure "$server" "$round" "$kind" "$sessions" "$octets" $((messages / scale)) "$per"
    done <<<"$scenarios"
    stop_server
    stop_sink
}

load=$(cut -d' ' -f1 /proc/loadavg)
echo "$(nproc) processors, load $load before the start, queues on $(stat -f -c %T "$work"), Postfix $(postconf -h mail_version)" >&2
awk -v l="$load" -v n="$(nproc)" 'BEGIN { exit !(l > n / 2) }' && echo "others use this machine: rates will be low and uneven, CPU seconds less so" >&2

for ((round = 1; round <= rounds; round++)); do
    for server in $servers; do
        [[ -z $only || $only == "$server" ]] || continue
        for mode in accept forward; do
            echo "round $round: $server, $mode" >&2
            run_mode $server $mode $round
        done
    done
done
[[ $servers == *standalone* ]] && print_table standalone Standalone <"$results"
if [[ $servers == *cluster* ]]; then
    echo
    print_table cluster Services <"$results"
    echo
    print_parts <"$work/parts"
fi
if ((checks)); then
    echo
    "$here/checks.sh" --no-build --rounds "$rounds" --messages $((10000 / scale))
fi
