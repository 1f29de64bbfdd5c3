# Sending, counting, and what the server's processes used.

ticks_per_second=$(getconf CLK_TCK)

# All processes of the server: master and its children, or the one.
server_pids() {
    echo "$server_pid"
    [[ $server_kind == postfix ]] && pgrep -P "$server_pid" || true
}

# CPU time of the server in clock ticks, of its living processes and of those they have waited for.
cpu_ticks() {
    local pid
    for pid in $(server_pids); do
        cat "/proc/$pid/stat" 2>/dev/null || true
    done | sed 's/^.*) //' | awk '{ ticks += $12 + $13 + $14 + $15 } END { printf "%d\n", ticks }'
}

# Memory of the server's processes, shared pages counted once (PSS), in kilobytes.
memory_kilobytes() {
    local pid
    for pid in $(server_pids); do
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

# Until the server has nothing more to do: less than a twentieth of a processor for half a second.
settle() {
    local tries before after
    for ((tries = 0; tries < 60; tries++)); do
        before=$(cpu_ticks)
        sleep 0.5
        after=$(cpu_ticks)
        ((after - before <= ticks_per_second / 40)) && return 0
    done
}

# One line of results: server kind sessions octets per rate cpu-per-1000 megabytes
measure() { # server round kind sessions octets messages per
    local server=$1 kind=$3 sessions=$4 octets=$5 messages=$6 per=$7
    local watcher taken ticks started ended
    taken=$(sink_count)
    ticks=$(cpu_ticks)
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
    kill "$watcher" && wait "$watcher" 2>/dev/null || true
    awk -v s="$server" -v k="$kind" -v n="$sessions" -v o="$octets" -v p="$per" -v m="$messages" \
        -v ns=$((ended - started)) -v t="$ticks" -v hz="$ticks_per_second" -v kb="$(<"$work/peak")" \
        'BEGIN { printf "%s %s %s %s %s %.1f %.4f %.0f\n", s, k, n, o, p, m / (ns / 1e9), t / hz / m * 1000, kb / 1024 }' |
        tee -a "$results" >&2
}

# Medians over the rounds, one row per scenario in the order they were run.
print_table() {
    awk '
        function median(list,    n, parts, i, j, swap) {
            n = split(list, parts, " ")
            for (i = 2; i <= n; i++)
                for (j = i; j > 1 && parts[j - 1] + 0 > parts[j] + 0; j--) { swap = parts[j]; parts[j] = parts[j - 1]; parts[j - 1] = swap }
            return n == 0 ? 0 : n % 2 ? parts[(n + 1) / 2] : (parts[n / 2] + parts[n / 2 + 1]) / 2
        }
        function ratio(a, b) { return b > 0 ? sprintf("%.2f", a / b) : "-" }
        {
            key = $2 " " $3 " " $4 " " $5
            if (!(key in seen)) { seen[key] = 1; order[++count] = key }
            rate[$1, key] = rate[$1, key] " " $6
            cpu[$1, key] = cpu[$1, key] " " $7
            memory[$1, key] = memory[$1, key] " " $8
        }
        END {
            print "| measured | sessions | octets | messages a session | Postfix /s | Standalone /s | ratio | Postfix CPU s/1000 | Standalone CPU s/1000 | ratio | Postfix MB | Standalone MB |"
            print "| --- | --: | --: | --- | --: | --: | --: | --: | --: | --: | --: | --: |"
            for (i = 1; i <= count; i++) {
                key = order[i]
                split(key, part, " ")
                pr = median(rate["postfix", key]); sr = median(rate["standalone", key])
                pc = median(cpu["postfix", key]); sc = median(cpu["standalone", key])
                printf "| %s | %s | %s | %s | %.0f | %.0f | %s | %.3f | %.3f | %s | %.0f | %.0f |\n", part[1], part[2], part[3], part[4],
                    pr, sr, ratio(sr, pr), pc, sc, ratio(pc, sc), median(memory["postfix", key]), median(memory["standalone", key])
            }
        }'
}
