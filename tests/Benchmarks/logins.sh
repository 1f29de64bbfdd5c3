#!/usr/bin/env bash
# CPU of Standalone for a login: the first with a password, those that are remembered, and SCRAM. README.md says what is measured.
#
#   tests/Benchmarks/logins.sh [--accounts N] [--again N] [--no-build]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
accounts=20 again=50 build=1 offset=${BENCH_PORT_OFFSET:-14000}
while (($#)); do
    case $1 in
        --accounts) accounts=$2; shift ;;
        --again) again=$2; shift ;;
        --no-build) build=0 ;;
        *) sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
    esac
    shift
done
command -v python3 >/dev/null || { echo "logins.sh: python3 is missing" >&2; exit 69; }
((build)) && dotnet build "$root/services/Standalone" -c Release -v quiet -nodeReuse:false >&2

binaries=$root/services/Standalone/bin/Release/net10.0
work=$(mktemp -d "${BENCH_DIR:-/var/tmp}/mailpipeline-bench.XXXXXX")
pid=""
trap '[[ -z $pid ]] || { kill "$pid"; wait "$pid" || true; }; rm -rf "$work"' EXIT
mkdir "$work/data"
cd "$work"
dotnet "$binaries/mail.dll" domain add example.org --data "$work/data" >/dev/null
for ((i = 0; i <= accounts; i++)); do
    echo "correct horse" | dotnet "$binaries/mail.dll" account add "user$i@example.org" --data "$work/data" >/dev/null
done
dotnet "$binaries/MailPipeline.Standalone.dll" --data "$work/data" --port-offset "$offset" --Mailbox:AllowCleartextLogin=Loopback \
    "--Mailbox:Listeners:0:AuthMechanisms=PLAIN SCRAM-SHA-256" >"$work/log" 2>&1 &
pid=$!
python3 "$here/logins.py" "$pid" $((2110 + offset)) "$accounts" "$again" || { tail -20 "$work/log" >&2; exit 1; }
