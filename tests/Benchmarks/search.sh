#!/usr/bin/env bash
# What it takes to find one of very many messages that are done: fills a PostgreSQL of its own, and asks `mail message find`. README.md says more.
#
#   tests/Benchmarks/search.sh [--no-build] [messages (10000000)]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
build=1
[[ ${1:-} == --no-build ]] && build=0 && shift
[[ $# -le 1 && "${1:-1}" =~ ^[0-9]+$ ]] || { sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 64; }
messages=${1:-10000000}
[[ $(id -u) == 0 ]] || { echo "search.sh: PostgreSQL needs root to become its user" >&2; exit 77; }
((build)) && dotnet build "$root/services/Commands" -c Release -v quiet -nologo -nodeReuse:false >&2

source "$here/servers.sh"
source "$here/cluster.sh"
work=$(mktemp -d "${BENCH_DIR:-/var/tmp}/mailpipeline-bench.XXXXXX")
chmod 755 "$work"
trap 'stop_cluster 2>/dev/null; rm -rf "$work"' EXIT
mkdir "$work/cluster" && chmod 755 "$work/cluster"
mail=$root/services/Commands/bin/Release/net10.0/mail
missed=0

start_postgres
# The schema is the program's own.
(cd "$work" && "$mail" domain add example.org >/dev/null)
echo "filling: $messages messages" >&2
programs=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
ask() { "$programs/psql" -h 127.0.0.1 -p "$postgres_port" -U postgres -d mail -v ON_ERROR_STOP=1 -qAt "$@"; }
ask -v n="$messages" -f "$here/search.sql"
ask -c "SELECT 'database: ' || pg_size_pretty(pg_database_size('mail')) || ', of which terms: ' || pg_size_pretty(pg_total_relation_size('search_terms'))" >&2

echo "| what | found | measured | bound | kept |"
echo "| --- | --: | --: | --: | --- |"
# The whole command: to start it and to connect takes most of the time.
look() { # what, options of message find
    local began=$EPOCHREALTIME found seconds
    found=$("$mail" message find "${@:2}" --json | grep -o '"acceptedAt"' | wc -l)
    seconds=$(awk -v from="$began" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.2f", to - from }')
    awk -v s="$seconds" -v f="$found" 'BEGIN { exit !(s < 1 && f > 0) }' && kept=yes || { kept=no; missed=1; }
    printf '| message find, %s | %s | %s s | < 1 s | %s |\n' "$1" "$found" "$seconds" "$kept"
}
look "by recipient" --to r12345@d12345.example.net
look "by another recipient, 1,000 messages" --to r54321@d14321.example.net --limit 1000
look "by sender" --from s12345@example.org
look "by sender and recipient" --from s12345@example.org --to r12345@d12345.example.net
look "by Message-ID" --message-id "$((messages / 2)).x@example.org"
look "the latest" --limit 50
exit $missed
