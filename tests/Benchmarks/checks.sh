#!/usr/bin/env bash
# CPU of Standalone for a message of 2 KB at the door with one more kind of check on at a time, by a DNS server on this machine.
# README.md says what is measured.
#
#   tests/Benchmarks/checks.sh [--rounds N] [--messages N] [--no-build]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
source "$here/servers.sh"
source "$here/measure.sh"
arguments=("$@")
rounds=3 messages=10000 build=1
while (($#)); do
    case $1 in
        --rounds) rounds=$2; shift ;;
        --messages) messages=$2; shift ;;
        --no-build) build=0 ;;
        *) sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
    esac
    shift
done
require() { # Debian package, program
    PATH="$PATH:/usr/sbin" command -v "$2" >/dev/null && return
    echo "checks.sh: $2 is missing; install it with: apt-get install --no-install-recommends $1" >&2
    exit 69
}
require postfix smtp-source
require knot knotd
require python3-dkim dkimsign
require openssl openssl
require iproute2 ip
[[ $(id -u) == 0 ]] || { echo "checks.sh: a network of its own needs root" >&2; exit 77; }

# Who connects from another address is a stranger, of whom all is asked.
door=192.0.2.1 client=192.0.2.2
if [[ -z ${CHECKS_INSIDE:-} ]]; then
    ((build)) && dotnet build "$root/services/Standalone" -c Release -v quiet -nodeReuse:false >&2
    CHECKS_INSIDE=1 exec unshare --net "$0" ${arguments[@]+"${arguments[@]}"}
fi
ip link set lo up
ip addr add $door/32 dev lo
ip addr add $client/32 dev lo
ip route replace local $door dev lo table local src $client

work=$(mktemp -d "${BENCH_DIR:-/var/tmp}/mailpipeline-bench.XXXXXX")
dns=$((5353 + source_port_offset))
binaries=$root/services/Standalone/bin/Release/net10.0
knot=""
trap 'stop_server; [[ -z $knot ]] || { kill "$knot"; wait "$knot" 2>/dev/null || true; }; rm -rf "$work"' EXIT

# The sender's domain with its key, and two lists on which nobody is.
openssl genrsa -out "$work/key" 2048 2>/dev/null
mkdir "$work/knot"
cat >"$work/example.com.zone" <<EOF
example.com. 3600 SOA ns.example.com. hostmaster.example.com. 1 3600 600 86400 3600
example.com. 3600 NS ns.example.com.
ns.example.com. 3600 A 127.0.0.1
example.com. 3600 TXT "v=spf1 include:_spf.example.com -all"
_spf.example.com. 3600 TXT "v=spf1 ip4:198.51.100.0/24 ip4:$client -all"
_dmarc.example.com. 3600 TXT "v=DMARC1; p=reject"
s._domainkey.example.com. 3600 TXT "v=DKIM1; k=rsa; " $(openssl rsa -in "$work/key" -pubout 2>/dev/null | grep -v -- ---- | tr -d '\n' | sed 's/^/p=/' | fold -w 200 | sed 's/.*/"&"/' | tr '\n' ' ')
EOF
for list in one two; do
    printf '%s.example. 3600 SOA ns.example.com. hostmaster.example.com. 1 3600 600 86400 3600\n%s.example. 3600 NS ns.example.com.\n' $list $list \
        >"$work/$list.example.zone"
done
cat >"$work/knot.conf" <<EOF
server:
  rundir: $work/knot
  listen: 127.0.0.1@$dns
database:
  storage: $work/knot
template:
  - id: default
    storage: $work
    zonefile-sync: -1
    journal-content: none
zone:
  - domain: example.com
    file: example.com.zone
  - domain: one.example
    file: one.example.zone
  - domain: two.example
    file: two.example.zone
EOF
PATH="$PATH:/usr/sbin" knotd -c "$work/knot.conf" >"$work/knot.log" 2>&1 &
knot=$!
wait_for_port $dns

{
    printf 'From: Ann <sender@example.com>\r\nTo: user@example.net\r\nSubject: A message\r\nDate: Mon, 30 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\n'
    for ((line = 0; line < 40; line++)); do printf 'A line of text that is about as long as lines are.\r\n'; done
} >"$work/unsigned"
# smtp-source ends lines itself.
dkimsign --hcanon relaxed --bcanon relaxed s example.com "$work/key" <"$work/unsigned" | tr -d "\r" >"$work/message"

cat >"$work/lists.json" <<'EOF'
{ "DnsLists": { "Listeners": "Mx", "Lists": [ { "Zone": "one.example" }, { "Zone": "two.example" } ] } }
EOF

kinds="nothing lists signatures authentication"
settings_of() { # kind
    case $1 in
        nothing) ;;
        lists) echo "--Ingress:Checks:PolicyFile=$work/lists.json" ;;
        signatures) echo "--Ingress:Checks:Signatures:Listeners=Mx" ;;
        authentication) echo "--Ingress:Checks:Authentication:Policy=Enforce" ;;
    esac
}

start_with() { # kind
    rm -rf "$work/data"
    mkdir "$work/data"
    dotnet "$binaries/mail.dll" domain add example.net --data "$work/data" >/dev/null
    echo "correct horse" | dotnet "$binaries/mail.dll" account add user@example.net --data "$work/data" >/dev/null
    # shellcheck disable=SC2046 # one setting or none
    (cd "$work/data" && exec "$binaries/MailPipeline.Standalone" --data "$work/data" --port-offset "$source_port_offset" --Queue:DeliveryPaused=true \
        "--Dns:Servers=127.0.0.1:$dns" \
        --Ingress:Listeners:0:Address=$door $(settings_of "$1")) >"$work/standalone.log" 2>&1 &
    server_pid=$! server_kind=standalone server_port=$((2525 + source_port_offset))
    wait_for_server || { tail -20 "$work/standalone.log" >&2; return 1; }
}

wait_for_server() {
    local tries
    for ((tries = 0; tries < 600; tries++)); do
        (exec 3<>"/dev/tcp/$door/$server_port") 2>/dev/null && return
        sleep 0.1
    done
    echo "checks.sh: nothing listens on $door:$server_port" >&2
    return 1
}

send() { # sessions octets messages many
    smtp-source -d -s "$1" -m "$3" -F "$work/message" -f sender@example.com -t user@example.net "$door:$server_port"
}

echo "$(nproc) processors, load $(cut -d' ' -f1 /proc/loadavg) before the start" >&2
results=$work/results
: >"$work/sink"
for ((round = 1; round <= rounds; round++)); do
    for kind in $kinds; do
        start_with "$kind"
        send 20 - 12000 many
        settle
        measure standalone "$round" "$kind" 20 "$(stat -c %s "$work/message")" "$messages" many
        stop_server
    done
done

awk "$median_function"'
    { if (!($2 in cpu)) order[++count] = $2; cpu[$2] = cpu[$2] " " $7; rate[$2] = rate[$2] " " $6 }
    END {
        print "| checks on | messages/s | CPU ms a message | more than with nothing |"
        print "| --- | --: | --: | --: |"
        none = median(cpu["nothing"])
        for (i = 1; i <= count; i++) printf "| %s | %.0f | %.3f | %.3f |\n", order[i], median(rate[order[i]]), median(cpu[order[i]]), median(cpu[order[i]]) - none
    }' "$results"
