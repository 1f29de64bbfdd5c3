#!/usr/bin/env bash
# CPU of Standalone for a message of 2 KB at the door with one more kind of check, signature or filter on at a time, by a DNS server on
# this machine. README.md says what is measured.
#
#   tests/Benchmarks/checks.sh [--rounds N] [--messages N] [--only KIND,KIND] [--no-build]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
source "$here/servers.sh"
source "$here/measure.sh"
arguments=("$@")
rounds=3 messages=10000 build=1
kinds="nothing lists signatures authentication sealed listed sign-rsa sign-ed25519 sign-both milter rspamd"
while (($#)); do
    case $1 in
        --rounds) rounds=$2; shift ;;
        --messages) messages=$2; shift ;;
        --only) kinds=${2//,/ }; shift ;;
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
require python3-authres arcsign
require opendkim opendkim
require rspamd rspamd
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
knot="" opendkim="" rspamd=""
stop() { # process ids
    local pid
    for pid in "$@"; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
}
# shellcheck disable=SC2086 # those that run
trap 'stop_server; stop $knot $opendkim $rspamd; rm -rf "$work"' EXIT
chmod 755 "$work"

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

# The same from a forwarder that has sealed it.
{ printf 'Authentication-Results: lists.example.com; dkim=pass header.d=example.com\n'; cat "$work/message"; } | sed 's/$/\r/' |
    arcsign s example.com "$work/key" lists.example.com | tr -d "\r" >"$work/message-sealed"

# Keys to sign with, by our own command.
for key in rsa ed25519 both; do
    mkdir "$work/keys-$key"
    dotnet "$binaries/mail.dll" dkim create example.com --kind "$key" "--Dkim:KeyFolder=$work/keys-$key" >/dev/null
done

start_opendkim() { # as a filter that sees all of each message and puts one field in front
    printf '0.0.0.0/0\n::/0\n' >"$work/hosts"
    cat >"$work/opendkim.conf" <<EOF
Mode s
Domain example.com
Selector s
KeyFile $work/key
Socket inet:$((8891 + source_port_offset))@127.0.0.1
Background no
InternalHosts $work/hosts
RequireSafeKeys no
UserID root
Syslog no
EOF
    PATH="$PATH:/usr/sbin" opendkim -f -x "$work/opendkim.conf" >"$work/opendkim.log" 2>&1 &
    opendkim=$!
    wait_for_port $((8891 + source_port_offset))
}

start_rspamd() { # with no rules: what it thinks is not measured
    mkdir "$work/rspamd"
    chown _rspamd "$work/rspamd"
    printf 'com\nnet\norg\nexample\n' >"$work/rspamd.tlds"
    cat >"$work/rspamd.conf" <<EOF
options {
  pidfile = "$work/rspamd/rspamd.pid"; filters = ""; local_addrs = []; url_tld = "$work/rspamd.tlds";
  cache_file = "$work/rspamd/symbols.cache"; hs_cache_dir = "$work/rspamd/"; tempdir = "$work/rspamd";
  dns { nameserver = ["127.0.0.1:9:1"]; timeout = 0.1s; retransmits = 1; }
}
logging { type = "console"; level = "error"; }
metric "default" { actions { reject = 15; } unknown_weight = 1; }
worker "normal" { bind_socket = "127.0.0.1:$((11333 + source_port_offset))"; count = 1; }
EOF
    rspamd -c "$work/rspamd.conf" -f -u _rspamd -g _rspamd >"$work/rspamd.log" 2>&1 &
    rspamd=$!
    wait_for_port $((11333 + source_port_offset))
}

cat >"$work/lists.json" <<'EOF'
{ "DnsLists": { "Listeners": "Mx", "Lists": [ { "Zone": "one.example" }, { "Zone": "two.example" } ] } }
EOF

settings_of() { # kind
    case $1 in
        nothing) ;;
        lists) echo "--Ingress:Checks:PolicyFile=$work/lists.json" ;;
        signatures) echo "--Ingress:Checks:Signatures:Listeners=Mx" ;;
        authentication | sealed) echo "--Ingress:Checks:Authentication:Policy=Enforce" ;;
        listed) echo "--Ingress:RelayClients:0=$client" ;;
        sign-*) echo "--Ingress:RelayClients:0=$client --Dkim:KeyFolder=$work/keys-${1#sign-}" ;;
        milter) echo "--Ingress:Filters:0:Name=opendkim --Ingress:Filters:0:Address=127.0.0.1:$((8891 + source_port_offset))" ;;
        rspamd) echo "--Ingress:Filters:0:Name=rspamd --Ingress:Filters:0:Protocol=Rspamd --Ingress:Filters:0:Address=http://127.0.0.1:$((11333 + source_port_offset))" ;;
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
    smtp-source -d -s "$1" -m "$3" -F "$message" -f sender@example.com -t user@example.net "$door:$server_port"
}

echo "$(nproc) processors, load $(cut -d' ' -f1 /proc/loadavg) before the start" >&2
results=$work/results
: >"$work/sink"
for ((round = 1; round <= rounds; round++)); do
    for kind in $kinds; do
        message=$work/message
        case $kind in
            sealed) message=$work/message-sealed ;;
            milter) [[ -n $opendkim ]] || start_opendkim ;;
            rspamd) [[ -n $rspamd ]] || start_rspamd ;;
        esac
        start_with "$kind"
        send 20 - 12000 many
        settle
        measure standalone "$round" "$kind" 20 "$(stat -c %s "$message")" "$messages" many
        stop_server
    done
done

awk "$median_function"'
    { if (!($2 in cpu)) order[++count] = $2; cpu[$2] = cpu[$2] " " $7; rate[$2] = rate[$2] " " $6 }
    END {
        # What each may add to a message, in ms.
        bound["authentication"] = 0.5; bound["sign-rsa"] = 0.8; bound["sign-ed25519"] = 0.15
        print "| on | messages/s | CPU ms a message | more than | by | bound | kept |"
        print "| --- | --: | --: | --- | --: | --: | --- |"
        for (i = 1; i <= count; i++) {
            # Who is listed is asked less than a stranger.
            base = order[i] ~ /^sign-/ ? "listed" : "nothing"
            printf "| %s | %.0f | %.3f | ", order[i], median(rate[order[i]]), median(cpu[order[i]])
            if (order[i] == base || order[i] == "listed" || !(base in cpu)) {
                print "| | | |"
                continue
            }
            by = median(cpu[order[i]]) - median(cpu[base])
            isKept = !(order[i] in bound) || by <= bound[order[i]]
            failed += !isKept
            printf "%s | %.3f | %s |\n", base, by, order[i] in bound ? sprintf("%s | %s", bound[order[i]], isKept ? "yes" : "no") : "|"
        }

        exit failed > 0
    }' "$results"
