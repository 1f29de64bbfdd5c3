using System.Diagnostics;
using System.Net;

namespace MailPipeline.Testing;

/// <summary>
/// A resolver that validates (Debian's unbound) before an authoritative server with a signed zone of the test's (knot): what it says of names in that zone it
/// vouches for, of names elsewhere it does not, and of names that are said to be signed and are not it gives no answer.
/// </summary>
public sealed class ValidatingResolver : IAsyncDisposable
{
    private static readonly TimeSpan s_startTime = TimeSpan.FromSeconds(20);

    private readonly TempFolder _folder;
    private readonly ServerProcess _authority;
    private readonly ServerProcess _resolver;

    private ValidatingResolver(TempFolder folder, ServerProcess authority, ServerProcess resolver, IPEndPoint endPoint, IPEndPoint authorityEndPoint)
    {
        _folder = folder;
        _authority = authority;
        _resolver = resolver;
        EndPoint = endPoint;
        Authority = authorityEndPoint;
    }

    /// <summary>Of the resolver.</summary>
    public IPEndPoint EndPoint { get; }

    /// <summary>Of the server behind it, which vouches for nothing.</summary>
    public IPEndPoint Authority { get; }

    /// <param name="zone">The signed zone, such as example.net.</param>
    /// <param name="records">Its records in zone file form; "@" is the zone.</param>
    /// <param name="others">Records outside of it, with whole names.</param>
    /// <param name="bogus">Names that the resolver takes for those of signed zones, and that are in none.</param>
    public static async Task<ValidatingResolver> StartAsync(
        string zone, string records, string others = "", IReadOnlyList<string>? bogus = null, CancellationToken cancellation = default)
    {
        var (knotd, unbound) = (DebianProgram.Find("knotd", "knot"), DebianProgram.Find("unbound", "unbound"));
        var folder = new TempFolder("signed");
        ServerProcess? authority = null;
        ServerProcess? resolver = null;
        try
        {
            var (served, asked) = (new IPEndPoint(IPAddress.Loopback, FreePorts.Next()), new IPEndPoint(IPAddress.Loopback, FreePorts.Next()));
            folder.Write("root", ZoneOf(".", others));
            folder.Write("signed", ZoneOf($"{zone}.", records));
            var configuration = folder.Write("knot.conf", KnotConfiguration(folder, served, zone));
            authority = ServerProcess.Start(knotd, ["-c", configuration], folder.FullPath);
            await authority.WaitUntilAsync(token => AnswersAsync(served, zone, token), s_startTime, "knotd", cancellation);
            resolver = ServerProcess.Start(
                unbound, ["-d", "-c", folder.Write("unbound.conf", UnboundConfiguration(folder, served, asked, zone, [await AnchorAsync(configuration, zone), .. AnchorsOf(bogus)]))],
                folder.FullPath);
            var server = new ValidatingResolver(folder, authority, resolver, asked, served);
            await resolver.WaitUntilAsync(token => AnswersAsync(asked, zone, token), s_startTime, "unbound", cancellation);
            return server;
        }
        catch
        {
            if (resolver is not null)
                await resolver.DisposeAsync();
            if (authority is not null)
                await authority.DisposeAsync();
            folder.Dispose();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in (ServerProcess[])[_resolver, _authority])
        {
            await process.StopAsync(TimeSpan.FromSeconds(10));
            await process.DisposeAsync();
        }

        _folder.Dispose();
    }

    private static string ZoneOf(string origin, string records) => $"""
        $ORIGIN {origin}
        $TTL 60
        @ SOA ns.invalid. hostmaster.invalid. 1 3600 600 86400 1
        @ NS ns.invalid.
        {records.ReplaceLineEndings("\n")}

        """;

    private static string KnotConfiguration(TempFolder folder, IPEndPoint endPoint, string zone) => $"""
        server:
            rundir: "{folder.FullPath}"
            listen: 127.0.0.1@{endPoint.Port}
            udp-workers: 1
            tcp-workers: 1
            background-workers: 1
        log:
          - target: stderr
            any: warning
        database:
            storage: "{folder.CreateFolder("db")}"
        policy:
          - id: signed
            algorithm: ecdsap256sha256
            single-type-signing: on
        zone:
          - domain: .
            file: "{folder["root"]}"
            semantic-checks: off
          - domain: {zone}
            file: "{folder["signed"]}"
            semantic-checks: off
            zonefile-sync: -1
            dnssec-signing: on
            dnssec-policy: signed

        """;

    private static string UnboundConfiguration(TempFolder folder, IPEndPoint authority, IPEndPoint endPoint, string zone, IEnumerable<string> anchors) => $"""
        server:
          directory: "{folder.FullPath}"
          chroot: ""
          username: ""
          pidfile: ""
          use-syslog: no
          num-threads: 1
          interface: 127.0.0.1@{endPoint.Port}
          do-not-query-localhost: no
          module-config: "validator iterator"
        {string.Join('\n', anchors.Select(anchor => $"  trust-anchor: \"{anchor}\""))}
        stub-zone:
          name: "."
          stub-addr: 127.0.0.1@{authority.Port}
        stub-zone:
          name: "{zone}"
          stub-addr: 127.0.0.1@{authority.Port}
        remote-control:
          control-enable: no

        """;

    /// <summary>The DS record of the key that knot has made for the zone.</summary>
    private static async Task<string> AnchorAsync(string configuration, string zone)
    {
        using var keys = Process.Start(new ProcessStartInfo(DebianProgram.Find("keymgr", "knot"), ["-c", configuration, zone, "ds"]) { RedirectStandardOutput = true })!;
        var lines = (await keys.StandardOutput.ReadToEndAsync()).Split('\n');
        await keys.WaitForExitAsync();
        return Array.Find(lines, line => line.Contains(" 13 2 ", StringComparison.Ordinal)) ?? throw new InvalidOperationException($"knot has no key for {zone}");
    }

    private static IEnumerable<string> AnchorsOf(IReadOnlyList<string>? bogus) => (bogus ?? []).Select(name => $"{name}. DS 12345 13 2 {new string('A', 64)}");

    private static async Task<bool> AnswersAsync(IPEndPoint server, string zone, CancellationToken cancellation) =>
        await DnsQuestion.AskAsync(server, DnsQuestion.SoaOf(zone), TimeSpan.FromMilliseconds(500), cancellation) is { Length: > 12 } reply && (reply[3] & 0x0F) == 0 && reply[7] > 0;
}
