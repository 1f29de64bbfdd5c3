#!/usr/bin/env bash
# What a very large queue costs: fills a PostgreSQL of its own with recipients that were deferred, spread over many domains, starts the
# services over it, and measures. README.md says what each row is.
#
#   tests/Benchmarks/scale.sh [--no-build] [recipients (1000000)] [domains (20000)]
#   tests/Benchmarks/scale.sh [--no-build] noworkers [recipients (300000)] [domains (10000)]    all of it due, and nobody there to take it
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
build=1
[[ ${1:-} == --no-build ]] && build=0 && shift
kind=waiting recipients=1000000 domains=20000 fill=(-v due=1800000 -v spread=3600000 -v failing=1 -v site=)
[[ ${1:-} == noworkers ]] && kind=noworkers recipients=300000 domains=10000 fill=(-v due=-3600000 -v spread=3600000 -v failing=0) && shift
[[ $# -le 2 && "${1:-1}${2:-1}" =~ ^[0-9]+$ ]] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 64; }
recipients=${1:-$recipients} domains=${2:-$domains}
[[ $(id -u) == 0 ]] || { echo "scale.sh: PostgreSQL and RabbitMQ need root to become their users" >&2; exit 77; }
if ((build)); then
    for service in Queue Delivery Mailbox Ingress Commands; do
        dotnet build "$root/services/$service" -c Release -v quiet -nologo -nodeReuse:false >&2
    done
fi

source "$here/servers.sh"
source "$here/cluster.sh"
source "$here/measure.sh"
work=$(mktemp -d "${BENCH_DIR:-/var/tmp}/mailpipeline-bench.XXXXXX")
chmod 755 "$work"
trap 'stop_cluster 2>/dev/null; rm -rf "$work"' EXIT
server_kind=cluster
mkdir "$work/cluster" && chmod 755 "$work/cluster"
mail=$root/services/Commands/bin/Release/net10.0/mail

missed=0
row() { # what figure unit bound
    awk -v a="$2" -v b="$4" 'BEGIN { exit !(a < b) }' || missed=1
    printf '| %s | %s %s | < %s %s | %s |\n' "$1" "$2" "$3" "$4" "$3" "$(awk -v a="$2" -v b="$4" 'BEGIN { print (a < b) ? "yes" : "no" }')"
}

seconds_since() { awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.2f", to - from }'; }

pid_of() { printf '%s\n' "${cluster_pids[@]}" | awk -v part="$1" '$1 == part { print $2 }'; }

cores() { awk -v t="$1" -v h="$ticks_per_second" 'BEGIN { printf "%.2f", t / h / 60 }'; }

# A minute of Queue and PostgreSQL.
minute_row() { # what bound
    local queue_before postgres_before queue_ticks postgres_ticks
    queue_before=$(ticks_of Queue) postgres_before=$(ticks_of PostgreSQL)
    sleep 60
    queue_ticks=$(($(ticks_of Queue) - queue_before)) postgres_ticks=$(($(ticks_of PostgreSQL) - postgres_before))
    row "$1 ($(cores $queue_ticks) of Queue)" "$(cores $((queue_ticks + postgres_ticks)))" cores "$2"
}

memory_row() {
    row "memory of Queue (PSS)" "$(awk '/^Pss:/ { printf "%.0f", $2 / 1024 }' "/proc/$(pid_of Queue)/smaps_rollup")" MB 350
}

# User and system time so far of a part and its children, those that have ended too, in ticks.
ticks_of() { cpu_ticks_by_part | awk -v part="$1" '$1 == part { print $2 }'; }

start_postgres
start_rabbitmq
start_redis
# The schema is the program's own.
(cd "$work" && "$mail" domain add example.org >/dev/null)
# As its workers have found it when they were there.
[[ $kind == noworkers ]] && fill+=(-v "site=127.0.0.1:$sink_port")
echo "filling: $recipients recipients of $domains domains" >&2
programs=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
"$programs/psql" -h 127.0.0.1 -p "$postgres_port" -U postgres -d mail -v ON_ERROR_STOP=1 -qAt -v n="$recipients" -v d="$domains" "${fill[@]}" -f "$here/scale.sql"
"$programs/psql" -h 127.0.0.1 -p "$postgres_port" -U postgres -d mail -qAtc "SELECT 'database: ' || pg_size_pretty(pg_database_size('mail'))" >&2

echo "| what | measured | bound | kept |"
echo "| --- | --: | --: | --- |"
began=$EPOCHREALTIME
start_service Queue --Queue:SiloPort=$((11111 + source_port_offset))
queue_number=$((${#cluster_pids[@]} - 1))
wait_until_ready $queue_number
row "start of Queue until it is ready" "$(seconds_since "$began")" s 5

if [[ $kind == noworkers ]]; then
    # Once it has counted what there is.
    sleep 20
    minute_row "CPU of Queue and PostgreSQL with neither Delivery nor Mailbox, in a minute" 0.1
    start_service Mailbox --Mailbox:Listeners:0:Address=127.0.0.1 --Mailbox:Listeners:0:Port=$((2110 + source_port_offset))
    wait_until_ready $((${#cluster_pids[@]} - 1))
    sleep 10
    minute_row "CPU of Queue and PostgreSQL without Delivery, in a minute" 0.1
    memory_row
    start_service Delivery "--Delivery:Routes=*=127.0.0.1:$sink_port"
    read -r first more < <(python3 "$here/noworkers.py" "$sink_port" "http://127.0.0.1:$((http_port + ${#cluster_pids[@]} - 1))/health/ready")
    row "first message out after Delivery is back on the bus ($more in the ten seconds after it)" "$first" s 1
    exit $missed
fi

start_service Delivery "--Delivery:Routes=*=127.0.0.1:$sink_port"
start_service Mailbox --Mailbox:Listeners:0:Address=127.0.0.1 --Mailbox:Listeners:0:Port=$((2110 + source_port_offset))
server_port=$((2525 + source_port_offset))
start_service Ingress --Ingress:Listeners:0:Kind=Mx --Ingress:Listeners:0:Address=127.0.0.1 \
    --Ingress:Listeners:0:Port=$server_port --Ingress:RelayClients:0=127.0.0.0/8
for ((number = queue_number + 1; number < ${#cluster_pids[@]}; number++)); do
    wait_until_ready $number
done
# Code is compiled and pools are filled once.
python3 "$here/scale.py" $server_port "$sink_port" 200 20 >/dev/null
read -r arrived median slow < <(python3 "$here/scale.py" $server_port "$sink_port" 1200 20)
row "healthy mail beside it, from its 250 to its arrival, 99 of 100 ($arrived of 1200 arrived, median $median s)" "$slow" s 1

# The reconciler has counted at least once by now; a message of the middle is looked for.
middle=$((recipients / 2))
middle_domain=$("$programs/psql" -h 127.0.0.1 -p "$postgres_port" -U postgres -d mail -qAtc "SELECT domain FROM recipients WHERE id = $middle::BIGINT << 16")
time_mail() { # what words...
    local what=$1 began=$EPOCHREALTIME answer
    shift
    answer=$("$mail" "$@")
    row "$what$(grep -o ', as of .* ago' <<<"$answer" | head -1; grep -o '[0-9]* were looked through' <<<"$answer" | sed 's/^/; /')" "$(seconds_since "$began")" s 1
}
time_mail "mail version, which asks nothing: the start of the program is in each of the following" version
time_mail "mail queue" queue
for by in domain site sender reason; do
    time_mail "mail queue --by $by" queue --by $by
done
time_mail "mail queue list" queue list
time_mail "mail queue list --domain" queue list --domain "$middle_domain"
time_mail "mail queue list --domain with *" queue list --domain '*.example.net' --limit 200
time_mail "mail queue list --sender, of all" queue list --sender ann@example.org
time_mail "mail queue list --sender, of none" queue list --sender nobody@example.org
time_mail "mail queue list --sender, a domain of none" queue list --sender example.com
time_mail "mail queue list --recipient" queue list --recipient "user$middle@$middle_domain"
time_mail "mail queue list --older" queue list --older 1h
for reason in nextAttempt backsOff due heldByOperator notRouted; do
    time_mail "mail queue list --reason $reason" queue list --reason $reason
done
time_mail "mail queue list --reply, of one" queue list --reply "user$middle is full"
time_mail "mail queue list --domain --reply, of one" queue list --domain "$middle_domain" --reply "user$middle is full"

sleep 20
memory_row
minute_row "CPU of Queue and PostgreSQL at rest, in a minute" 0.3

# A hold on a pattern over all of it, obeyed and undone. What is flushed under it is due, and is not tried.
sql() { "$programs/psql" -h 127.0.0.1 -p "$postgres_port" -U postgres -d mail -qAtc "$1"; }
attempts() { sql "SELECT COALESCE(SUM(attempts), 0) FROM recipients WHERE domain = '$middle_domain'"; }
began=$EPOCHREALTIME
"$mail" rule add scale hold --domain '*.example.net' --why scale >&2
until grep -q 'Rules of operators have changed: 1 stand' "$work/cluster/Queue.log"; do sleep 0.1; done
row "a hold on a pattern over all of it, from the command to its being obeyed" "$(seconds_since "$began")" s 2
tried=$(attempts)
"$mail" queue flush "$middle_domain" >&2
sleep 5
row "attempts of a domain that is held, in 5 s after it was flushed" $(($(attempts) - tried)) attempts 1
began=$EPOCHREALTIME
"$mail" rule remove scale >&2
for ((tries = 0; tries < 300 && $(attempts) == tried; tries++)); do sleep 0.1; done
row "its release, from the command to the first attempt" "$(seconds_since "$began")" s 5
exit $missed
