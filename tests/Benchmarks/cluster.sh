# The four services as processes of their own, one of each, over PostgreSQL, RabbitMQ and Redis, all on this machine.

http_port=$((8080 + source_port_offset))
cluster_pids=()

as_user() { # user program arguments
    exec setpriv --reuid "$1" --regid "$1" --clear-groups "${@:2}"
}

start_postgres() {
    local dir=$work/cluster/postgres programs
    programs=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
    postgres_port=$((5432 + source_port_offset))
    install -d -o postgres "$dir"
    (as_user postgres "$programs/initdb" -D "$dir/data" -A trust -U postgres -E UTF8 --locale=C) >"$dir.log" 2>&1
    # PostgreSQL's own defaults, fsync among them, but for the folder of its socket and the buffers, which k8s/infrastructure has so.
    (cd "$dir" && as_user postgres "$programs/postgres" -D data -h 127.0.0.1 -p $postgres_port -k "$dir" -c shared_buffers=64MB) >>"$dir.log" 2>&1 &
    cluster_pids+=("PostgreSQL $!")
    wait_for_port $postgres_port
    until "$programs/psql" -h 127.0.0.1 -p $postgres_port -U postgres -qc 'CREATE DATABASE mail' >>"$dir.log" 2>&1; do sleep 0.2; done
    export ConnectionStrings__maildb="Host=127.0.0.1;Port=$postgres_port;Database=mail;Username=postgres"
}

start_rabbitmq() {
    local dir=$work/cluster/rabbitmq port=$((5672 + source_port_offset))
    install -d -o rabbitmq "$dir" "$dir/data" "$dir/home"
    # As k8s/infrastructure has it.
    printf 'raft.wal_max_size_bytes = 16000000\nlisteners.tcp.1 = 127.0.0.1:%s\nlog.console = true\nlog.console.level = warning\n' $port >"$dir/rabbitmq.conf"
    echo '[].' >"$dir/enabled_plugins"
    (
        export HOME=$dir/home RABBITMQ_NODENAME=bench@localhost RABBITMQ_MNESIA_BASE=$dir/data RABBITMQ_LOG_BASE=$dir/data
        export RABBITMQ_CONFIG_FILE=$dir/rabbitmq.conf RABBITMQ_CONF_ENV_FILE=$dir/none RABBITMQ_ENABLED_PLUGINS_FILE=$dir/enabled_plugins
        export RABBITMQ_LOGS=- RABBITMQ_DIST_PORT=$((25672 + source_port_offset)) ERL_EPMD_PORT=$((4369 + source_port_offset))
        export ERL_EPMD_ADDRESS=127.0.0.1 RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"
        # The script then becomes the broker, and its process id the broker's.
        export RUNNING_UNDER_SYSTEMD=true
        epmd -port "$ERL_EPMD_PORT" -address 127.0.0.1 -daemon
        cd "$dir" && as_user rabbitmq /usr/lib/rabbitmq/bin/rabbitmq-server
    ) >"$dir.log" 2>&1 &
    cluster_pids+=("RabbitMQ $!")
    wait_for_port $port
    export ConnectionStrings__rabbitmq="amqp://guest:guest@127.0.0.1:$port/"
}

start_redis() {
    local dir=$work/cluster/redis port=$((6379 + source_port_offset))
    mkdir "$dir"
    redis-server --port $port --bind 127.0.0.1 --dir "$dir" --save '' --appendonly yes >"$dir.log" 2>&1 &
    cluster_pids+=("Redis $!")
    wait_for_port $port
    export ConnectionStrings__redis="127.0.0.1:$port"
}

start_service() { # name settings
    local name=$1 number=${#cluster_pids[@]}
    mkdir "$work/cluster/$name"
    (cd "$work/cluster/$name" && exec "$root/services/$name/bin/Release/net10.0/MailPipeline.$name" \
        --Http:Address=127.0.0.1 --Http:Port=$((http_port + number)) "${@:2}") >"$work/cluster/$name.log" 2>&1 &
    cluster_pids+=("$name $!")
}

wait_until_ready() { # number of the service among all processes
    local tries
    for ((tries = 0; tries < 600; tries++)); do
        curl -sf "http://127.0.0.1:$((http_port + $1))/health/ready" >/dev/null && return 0
        sleep 0.1
    done
    echo "compare.sh: ${cluster_pids[$1]% *} is not ready after a minute:" >&2
    tail -20 "$work/cluster/${cluster_pids[$1]% *}.log" >&2
    return 1
}

start_cluster() { # mode
    local queue=() number
    [[ $1 == accept ]] && queue=(--Queue:DeliveryPaused=true)
    rm -rf "$work/cluster"
    mkdir "$work/cluster"
    chmod 755 "$work/cluster"
    server_kind=cluster server_port=$((2525 + source_port_offset))
    start_postgres
    start_rabbitmq
    start_redis
    start_service Queue --Queue:SiloPort=$((11111 + source_port_offset)) ${queue[@]+"${queue[@]}"}
    start_service Delivery "--Delivery:Routes=*=127.0.0.1:$sink_port"
    start_service Mailbox --Mailbox:Listeners:0:Address=127.0.0.1 --Mailbox:Listeners:0:Port=$((2110 + source_port_offset))
    start_service Ingress --Ingress:Listeners:0:Kind=Mx --Ingress:Listeners:0:Address=127.0.0.1 \
        --Ingress:Listeners:0:Port=$server_port --Ingress:RelayClients:0=127.0.0.0/8
    for ((number = 3; number < ${#cluster_pids[@]}; number++)); do
        wait_until_ready $number
    done
}

stop_cluster() {
    local number pid
    # The services before their servers.
    for ((number = ${#cluster_pids[@]} - 1; number >= 0; number--)); do
        pid=${cluster_pids[$number]##* }
        # PostgreSQL takes SIGTERM for "when all have gone".
        [[ ${cluster_pids[$number]} == PostgreSQL* ]] && kill -INT "$pid" 2>/dev/null || kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    cluster_pids=()
    ERL_EPMD_PORT=$((4369 + source_port_offset)) epmd -kill >/dev/null 2>&1 || true
    unset ConnectionStrings__maildb ConnectionStrings__rabbitmq ConnectionStrings__redis
}
