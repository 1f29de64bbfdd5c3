#!/bin/bash
# How long `mail queue` takes where very much waits: fills a PostgreSQL of its own with recipients that were deferred, spread over many
# domains, and runs the command a few times.
#
#   tests/Benchmarks/queue.sh [--recipients 1000000] [--domains 20000] [--runs 5] [--no-build] [--program PATH]
#
# --program is the program to run, another build of mail for example. Needs root (PostgreSQL does not run as it) and postgresql.
set -euo pipefail
recipients=1000000 domains=20000 runs=5 build=1
root="$(cd "$(dirname "$0")/../.." && pwd)"
program="$root/services/Commands/bin/Release/net10.0/mail"
while (($#)); do
  case $1 in
    --recipients) recipients=$2 && shift 2 ;;
    --domains) domains=$2 && shift 2 ;;
    --runs) runs=$2 && shift 2 ;;
    --program) program=$2 build=0 && shift 2 ;;
    --no-build) build=0 && shift ;;
    *) sed -n '2,7s/^# \?//p' "$0" && exit 2 ;;
  esac
done
((build)) && dotnet build "$root/services/Commands" -c Release -v quiet -nologo -nodeReuse:false >&2

programs=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
work=$(mktemp -d) port=$((20000 + RANDOM % 10000))
chmod 755 "$work" && install -d -o postgres "$work/postgres"
as_postgres() { (cd "$work/postgres" && exec setpriv --reuid postgres --regid postgres --clear-groups "$@"); }
stop() { [[ -z ${server:-} ]] || { kill -INT "$server" && wait "$server" || true; } && rm -rf "$work"; }
trap stop EXIT
as_postgres "$programs/initdb" -D data -A trust -U postgres -E UTF8 --locale=C >"$work/log" 2>&1
# PostgreSQL's own defaults, but for the folder of its socket.
setpriv --reuid postgres --regid postgres --clear-groups "$programs/postgres" -D "$work/postgres/data" -h 127.0.0.1 -p $port -k "$work/postgres" >>"$work/log" 2>&1 &
server=$!
sql() { "$programs/psql" -h 127.0.0.1 -p $port -U postgres -v ON_ERROR_STOP=1 -qAt "$@"; }
until sql -c 'CREATE DATABASE mail' >>"$work/log" 2>&1; do sleep 0.2; done

# The schema is the program's own.
export ConnectionStrings__maildb="Host=127.0.0.1;Port=$port;Database=mail;Username=postgres"
cd "$work" && "$program" domain add example.org >/dev/null

# Each message has one recipient, three attempts behind it and 2 KB of content. A fifth of the domains cannot be reached. Domains differ
# in size: the largest has about a thousand times as many recipients as the smallest. A little is held, is new, or is being tried.
echo "filling: $recipients recipients of $domains domains" >&2
sql -d mail -v n="$recipients" -v d="$domains" <<'SQL'
SET synchronous_commit = off;
SELECT CAST(extract(epoch FROM now()) * 1000 AS BIGINT) AS now \gset
CREATE TEMP TABLE filled AS SELECT i, 'd' || CAST(floor(:d * power(random(), 3)) AS BIGINT) || '.example.net' AS domain FROM generate_series(CAST(1 AS BIGINT), :n) i;
INSERT INTO messages (id, accepted_at, sender, flow, size_bytes, body, trace_parent, content_refs)
  SELECT i, :now - 7200000 + i / 1000, 'ann@example.org', 'example.org', 2048, 1, '', 1 FROM filled;
INSERT INTO chunks (id, size_bytes, bytes, segment, position) SELECT i << 16, 2048, decode(repeat('78', 2048), 'hex'), 0, 0 FROM filled;
INSERT INTO recipients (id, address, original, domain, flow, route, state, attempts, next_attempt_at, claim, updated_at)
  SELECT i << 16, 'user' || i || '@' || domain, '', domain, 'example.org', 0, CASE WHEN i % 10000 = 0 THEN 5 ELSE 0 END, 3,
         :now + CAST(random() * 3600000 AS BIGINT), 0, :now FROM filled;
INSERT INTO attempts (recipient_id, number, outcome, started_at, finished_at, status, reply, remote_host)
  SELECT i << 16, a, 2, :now - 7200000 + a * 1000000, :now - 7199000 + a * 1000000, '4.2.2', '452 4.2.2 The mailbox of user' || i || ' is full',
         'mx.' || domain || '[192.0.2.1]:25' FROM filled, generate_series(1, 3) a;
INSERT INTO domain_queues (domain, due_at, failures, backoff_until, reason)
  SELECT domain, MIN(next_attempt_at), CASE WHEN hashtext(domain) % 5 = 0 THEN 4 ELSE 0 END,
         CASE WHEN hashtext(domain) % 5 = 0 THEN :now + 1800000 ELSE 0 END,
         CASE WHEN hashtext(domain) % 5 = 0 THEN '4.4.1 no host of it answers' ELSE '' END
  FROM recipients WHERE state = 0 GROUP BY domain;
-- Workers hold claims of fifty domains.
INSERT INTO claims (id, domain, lease_until, recipients, began_at)
  SELECT row_number() OVER (), domain, :now + 15000, string_agg(CAST(id AS TEXT), ','), :now
  FROM (SELECT id, domain, row_number() OVER (PARTITION BY domain ORDER BY id) AS number FROM recipients
        WHERE state = 0 AND domain IN (SELECT domain FROM domain_queues WHERE backoff_until = 0 ORDER BY domain LIMIT 50)) r
  WHERE number <= 20 GROUP BY domain;
UPDATE recipients r SET claim = c.id, next_attempt_at = :now - 1000 FROM claims c WHERE r.id = ANY (CAST(string_to_array(c.recipients, ',') AS BIGINT[]));
UPDATE id_blocks SET next = :n + 1000000;
VACUUM ANALYZE;
SQL
echo "database: $(sql -d mail -c 'SELECT pg_size_pretty(pg_database_size(current_database()))')" >&2
"$program" queue | head -5
for ((i = 0; i < runs; i++)); do /usr/bin/time -f 'mail queue: %e s, of which %U + %S s its own CPU' "$program" queue >/dev/null; done
