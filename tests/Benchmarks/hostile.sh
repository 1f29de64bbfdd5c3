#!/usr/bin/env bash
# Healthy mail beside tarpits and domains whose DNS is dead: Standalone and Postfix in turn, in a network namespace of their own.
# README.md says what is measured.
#
#   tests/Benchmarks/hostile.sh [--tarpits N] [--dead N] [--seconds N] [--only NAME] [--no-build]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
arguments=("$@")
tarpits=300 dead=300 seconds=120 only="" build=1
while (($#)); do
    case $1 in
        --tarpits) tarpits=$2; shift ;;
        --dead) dead=$2; shift ;;
        --seconds) seconds=$2; shift ;;
        --only) only=$2; shift ;;
        --no-build) build=0 ;;
        *) sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
    esac
    shift
done
[[ $(id -u) == 0 ]] || { echo "hostile.sh: namespaces and Postfix need root" >&2; exit 77; }
for program in postfix python3 unshare ip; do
    command -v $program >/dev/null || { echo "hostile.sh: $program is missing" >&2; exit 69; }
done

# Ports 25 and 53 and the list of DNS servers belong to the namespace, whatever the machine uses them for.
if [[ -z ${HOSTILE_INSIDE:-} ]]; then
    ((build)) && dotnet build "$root/services/Standalone" -c Release -v quiet -nodeReuse:false >&2
    exec env HOSTILE_INSIDE=1 unshare --net --mount "$0" "${arguments[@]}"
fi

source "$here/servers.sh"
source "$here/measure.sh"
next_hop=""
work=$(mktemp -d "${BENCH_DIR:-/var/tmp}/mailpipeline-bench.XXXXXX")
chmod 755 "$work"
trap 'stop_server; rm -rf "$work"' EXIT
ip link set lo up
echo "nameserver 127.0.0.1" >"$work/resolv.conf"
mount --bind "$work/resolv.conf" /etc/resolv.conf

echo "| server | domain | messages | arrived within a minute | median s | 95 of 100 within s | slowest s |"
echo "| --- | --- | --: | --: | --: | --: | --: |"
for server in postfix standalone; do
    [[ -z $only || $only == "$server" ]] || continue
    start_$server forward
    python3 "$here/hostile.py" "$server_port" "$tarpits" "$dead" "$seconds" | sed "s/^/| $server | /; s/\([a-z0-9.-]\) \([0-9.-]\)/\1 | \2/g; s/$/ |/"
    echo "$server used $(awk -v t="$(cpu_ticks)" -v hz="$ticks_per_second" 'BEGIN { printf "%.1f", t / hz }') CPU s" >&2
    stop_server
done
