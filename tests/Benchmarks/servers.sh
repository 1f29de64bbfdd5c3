# Standalone, Postfix and the far end. Each is started in a folder of its own under $work, on ports of its own.

source_port_offset=${BENCH_PORT_OFFSET:-14000}
sink_port=$((2626 + source_port_offset))
# Where everything goes; empty: where DNS says.
next_hop=127.0.0.1:$sink_port
server_pid="" server_port="" server_kind="" sink_pid=""

wait_for_port() {
    local tries
    for ((tries = 0; tries < 600; tries++)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return 0
        sleep 0.1
    done
    echo "compare.sh: nothing listens on 127.0.0.1:$1" >&2
    return 1
}

start_sink() {
    : >"$work/sink"
    smtp-sink -c -u nobody -m 1000 "127.0.0.1:$sink_port" 1000 >"$work/sink" 2>"$work/sink.err" &
    sink_pid=$!
    wait_for_port $sink_port
}

stop_sink() {
    [[ -n $sink_pid ]] || return 0
    kill "$sink_pid" 2>/dev/null || true
    wait "$sink_pid" 2>/dev/null || true
    sink_pid=""
}

# Messages that the far end has taken so far: the last of its running counters.
sink_count() {
    local last
    last=$(tail -c 200 "$work/sink" | tr '\r' '\n' | grep -o 'mesg=[0-9]*' | tail -1)
    echo "${last#mesg=}"
}

start_standalone() { # mode
    local settings=(
        --data "$work/standalone" --port-offset "$source_port_offset"
        --Ingress:RelayClients:0=127.0.0.0/8)
    if [[ -n $next_hop ]]; then
        settings+=("--Delivery:Routes=*=$next_hop")
    else
        # The far ends that DNS names are on this machine.
        settings+=(--Delivery:LocalAddresses=Allow)
    fi
    [[ $1 == accept ]] && settings+=(--Queue:DeliveryPaused=true)
    rm -rf "$work/standalone"
    mkdir "$work/standalone"
    (cd "$work/standalone" && exec "$root/services/Standalone/bin/Release/net10.0/MailPipeline.Standalone" "${settings[@]}") \
        >"$work/standalone.log" 2>&1 &
    server_pid=$! server_kind=standalone server_port=$((2525 + source_port_offset))
    wait_for_port $server_port || { tail -20 "$work/standalone.log" >&2; return 1; }
}

# Postfix's own defaults but for folders, ports and Standalone's limit of message size; local delivery is left out.
start_postfix() { # mode
    local dir=$work/postfix held=""
    # Accepted mail goes straight to the hold queue: durable, and the least that Postfix can do with it.
    [[ $1 == accept ]] && held="smtpd_client_restrictions = check_client_access static:hold"
    rm -rf "$dir"
    mkdir -p "$dir/etc" "$dir/queue" "$dir/data"
    chown postfix "$dir/data"
    server_port=$((2527 + source_port_offset))
    cat >"$dir/etc/main.cf" <<EOF
compatibility_level = 3.6
queue_directory = $dir/queue
data_directory = $dir/data
maillog_file = $dir/log
maillog_file_prefixes = $work
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = postfix.example
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = all
inet_protocols = ipv4
alias_maps =
alias_database =
biff = no
relayhost = ${next_hop:+[${next_hop%:*}]:${next_hop#*:}}
smtpd_client_connection_count_limit = 0
message_size_limit = 52428800
$held
EOF
    cat >"$dir/etc/master.cf" <<EOF
127.0.0.1:$server_port inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
EOF
    postfix -c "$dir/etc" start >"$work/postfix.out" 2>&1 || { cat "$work/postfix.out" "$dir/log" >&2; return 1; }
    server_kind=postfix
    wait_for_port $server_port
    server_pid=$(tr -d ' ' <"$dir/queue/pid/master.pid")
}

stop_server() {
    case $server_kind in
        postfix) postfix -c "$work/postfix/etc" stop >/dev/null 2>&1 || true ;;
        standalone)
            kill "$server_pid" 2>/dev/null || true
            wait "$server_pid" 2>/dev/null || true
            ;;
        cluster) stop_cluster ;;
    esac
    server_kind="" server_pid=""
}
