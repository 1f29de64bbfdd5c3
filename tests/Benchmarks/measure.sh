# Sending, counting, and what the server's processes used.

ticks_per_second=$(getconf CLK_TCK)

# All processes of the server, a line each: what it is, and its id. Master and its children, or the one, or the parts of the
# cluster with the children of theirs that have some.
server_processes() {
    local part pid
    case $server_kind in
        cluster) printf '%s\n' "${cluster_pids[@]}" ;;
        *) echo "$server_kind $server_pid" ;;
    esac | while read -r part pid; do
        echo "$part $pid"
        case $part in postfix | PostgreSQL) pgrep -P "$pid" | sed "s/^/$part /" || true ;; esac
    done
}

# CPU time in clock ticks, of the living processes and of those they have waited for: a line for each part.
cpu_ticks_by_part() {
    local part pid
    server_processes | while read -r part pid; do
        sed "s/^.*) /$part /" "/proc/$pid/stat" 2>/dev/null || true
    done | awk '{ ticks[$1] += $13 + $14 + $15 + $16 } END { for (part in ticks) print part, ticks[part] }'
}

cpu_ticks() {
    cpu_ticks_by_part | awk '{ ticks += $2 } END { printf "%d\n", ticks }'
}

# Memory of the server's processes, shared pages counted once (PSS), in kilobytes.
memory_kilobytes() {
    local part pid
    server_processes | while read -r part pid; do
        cat "/proc/$pid/smaps_rollup" 2>/dev/null || true
    done | awk '/^Pss:/ { kilobytes += $2 } END { printf "%d\n", kilobytes }'
}

# Keeps the highest memory in a file until it is killed.
watch_memory() {
    local peak=0 now
    while true; do
        now=$(memory_kilobytes)
        ((now > peak)) && peak=$now && echo "$peak" >"$work/peak"
        sleep 0.5
    done
}

send() { # sessions octets messages many|one
    local keep=()
    [[ $4 == many ]] && keep=(-d)
    smtp-source "${keep[@]}" -s "$1" -l "$2" -m "$3" -f sender@example.com -t user@example.net "127.0.0.1:$server_port"
}

wait_for_sink() { # count
    local tries count
    for ((tries = 0; tries < 6000; tries++)); do
        count=$(sink_count)
        ((${count:-0} >= $1)) && return 0
        sleep 0.05
    done
    echo "compare.sh: the far end has ${count:-0} of $1 messages after five minutes" >&2
    return 1
}

# Until the server has nothing more to do: less than a twentieth of a processor for half a second. After half a minute it has not, and
# what it does is counted all the same.
settle() {
    local tries before after
    for ((tries = 0; tries < 60; tries++)); do
        before=$(cpu_ticks)
        sleep 0.5
        after=$(cpu_ticks)
        ((after - before <= ticks_per_second / 40)) && break
    done
    return 0
}

# One line of results: server kind sessions octets per rate cpu-per-1000 megabytes
measure() { # server round kind sessions octets messages per
    local server=$1 kind=$3 sessions=$4 octets=$5 messages=$6 per=$7
    local watcher taken ticks started ended
    taken=$(sink_count)
    ticks=$(cpu_ticks)
    cpu_ticks_by_part >"$work/before"
    echo 0 >"$work/peak"
    watch_memory &
    watcher=$!
    started=$(date +%s%N)
    send "$sessions" "$octets" "$messages" "$per"
    [[ $kind == forward ]] && wait_for_sink $((${taken:-0} + messages))
    ended=$(date +%s%N)
    # What was accepted is also sorted into the queue; that work belongs to the message, whenever it is done.
    settle
    ticks=$(($(cpu_ticks) - ticks))
    cpu_ticks_by_part | awk -v row="$server $kind $sessions $octets $per" -v m="$messages" -v hz="$ticks_per_second" '
        NR == FNR { before[$1] = $2; next }
        { printf "%s %s %.4f\n", row, $1, ($2 - before[$1]) / hz / m * 1000 }' "$work/before" - >>"$work/parts"
    kill "$watcher" && wait "$watcher" 2>/dev/null || true
    awk -v s="$server" -v k="$kind" -v n="$sessions" -v o="$octets" -v p="$per" -v m="$messages" \
        -v ns=$((ended - started)) -v t="$ticks" -v hz="$ticks_per_second" -v kb="$(<"$work/peak")" \
        'BEGIN { printf "%s %s %s %s %s %.1f %.4f %.0f\n", s, k, n, o, p, m / (ns / 1e9), t / hz / m * 1000, kb / 1024 }' |
        tee -a "$results" >&2
}

median_function='
    function median(list,    n, parts, i, j, swap) {
        n = split(list, parts, " ")
        for (i = 2; i <= n; i++)
            for (j = i; j > 1 && parts[j - 1] + 0 > parts[j] + 0; j--) { swap = parts[j]; parts[j] = parts[j - 1]; parts[j - 1] = swap }
        return n == 0 ? 0 : n % 2 ? parts[(n + 1) / 2] : (parts[n / 2] + parts[n / 2 + 1]) / 2
    }'

# Medians over the rounds, one row per scenario in the order they were run: Postfix beside one of ours.
print_table() { # server name
    awk -v ours="$1" -v name="$2" "$median_function"'
        function ratio(a, b) { return b > 0 ? sprintf("%.2f", a / b) : "-" }
        {
            key = $2 " " $3 " " $4 " " $5
            if (!(key in seen)) { seen[key] = 1; order[++count] = key }
            rate[$1, key] = rate[$1, key] " " $6
            cpu[$1, key] = cpu[$1, key] " " $7
            memory[$1, key] = memory[$1, key] " " $8
        }
        END {
            printf "| measured | sessions | octets | messages a session | Postfix /s | %s /s | ratio | Postfix CPU s/1000 | %s CPU s/1000 | ratio | Postfix MB | %s MB |\n", name, name, name
            print "| --- | --: | --: | --- | --: | --: | --: | --: | --: | --: | --: | --: |"
            for (i = 1; i <= count; i++) {
                key = order[i]
                split(key, part, " ")
                pr = median(rate["postfix", key]); sr = median(rate[ours, key])
                pc = median(cpu["postfix", key]); sc = median(cpu[ours, key])
                printf "| %s | %s | %s | %s | %.0f | %.0f | %s | %.3f | %.3f | %s | %.0f | %.0f |\n", part[1], part[2], part[3], part[4],
                    pr, sr, ratio(sr, pr), pc, sc, ratio(pc, sc), median(memory["postfix", key]), median(memory[ours, key])
            }
        }'
}

# What each process of the cluster costs: CPU seconds for 1,000 messages, medians over the rounds.
print_parts() {
    awk "$median_function"'
        $1 == "cluster" {
            key = $2 " | " $3 " | " $4 " | " $5
            if (!(key in seen)) { seen[key] = 1; order[++count] = key }
            cpu[key, $6] = cpu[key, $6] " " $7
        }
        END {
            n = split("Ingress Queue Delivery Mailbox PostgreSQL RabbitMQ Redis", parts, " ")
            header = "| CPU s/1000 of | sessions | octets | messages a session |"
            rule = "| --- | --: | --: | --- |"
            for (i = 1; i <= n; i++) { header = header " " parts[i] " |"; rule = rule " --: |" }
            print header; print rule
            for (i = 1; i <= count; i++) {
                row = "| " order[i] " |"
                for (j = 1; j <= n; j++) row = row sprintf(" %.3f |", median(cpu[order[i], parts[j]]))
                print row
            }
        }'
}
