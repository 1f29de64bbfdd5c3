using System.Net;

namespace MailPipeline.Testing;

/// <summary>How an <see cref="EximServer"/> is set up.</summary>
public sealed record EximOptions
{
    /// <summary>Domains whose mail it takes, all into one Maildir.</summary>
    public IReadOnlyList<string> Domains { get; init; } = [];

    /// <summary>Where it sends everything else; null: nowhere.</summary>
    public IPEndPoint? RelayHost { get; init; }

    public IPAddress Address { get; init; } = IPAddress.Loopback;

    /// <summary>0: a free port.</summary>
    public int Port { get; init; }

    /// <summary>It neither offers nor uses TLS and CHUNKING; else both, where they are to be had.</summary>
    public bool IsPlain { get; init; }
}

/// <summary>
/// An Exim of its own: a far end that keeps mail for a domain in a Maildir, and a client that relays to the server under test. Debian's package
/// and Postfix's shut each other out, so that it is unpacked for the test and not installed. What it has compiled in (its user, the place of its
/// configuration) it finds in a view of /etc of its own. Needs root, as Exim does.
/// </summary>
public sealed class EximServer : IAsyncDisposable
{
    private const string Package = "exim4-daemon-light";
    private const int User = 65533;

    private static readonly TimeSpan s_startTime = TimeSpan.FromSeconds(20);

    private readonly TempFolder _folder;
    private readonly ServerProcess _process;

    private EximServer(TempFolder folder, ServerProcess process, IPEndPoint endPoint)
    {
        _folder = folder;
        _process = process;
        EndPoint = endPoint;
    }

    public IPEndPoint EndPoint { get; }

    /// <summary>What it logged so far: a line "&lt;=" for each message that it takes, "=&gt;" for each that it delivers or hands on.</summary>
    public string Log => File.Exists(_folder["log/main"]) ? File.ReadAllText(_folder["log/main"]) : _process.Output;

    public static async Task<EximServer> StartAsync(EximOptions options, CancellationToken cancellation = default)
    {
        var folder = new TempFolder("exim");
        try
        {
            var program = await UnpackAsync(folder, cancellation);
            var endPoint = new IPEndPoint(options.Address, options.Port == 0 ? FreePorts.Next() : options.Port);
            var etc = folder.CreateFolder("etc");
            Directory.CreateDirectory(Path.Combine(etc, "exim4"));
            foreach (var file in new[] { "hosts", "nsswitch.conf", "services", "resolv.conf", "ld.so.cache" }.Where(file => File.Exists($"/etc/{file}")))
                File.Copy($"/etc/{file}", Path.Combine(etc, file));
            File.WriteAllText(Path.Combine(etc, "passwd"), $"{File.ReadAllText("/etc/passwd")}Debian-exim:x:{User}:{User}::/nonexistent:/usr/sbin/nologin\n");
            File.WriteAllText(Path.Combine(etc, "group"), $"{File.ReadAllText("/etc/group")}Debian-exim:x:{User}:\n");
            folder.Write("etc/exim4/exim4.conf", Configuration(folder, options, endPoint));
            foreach (var owned in new[] { "mail", "spool", "log" })
                await ServerProcess.RunAsync(DebianProgram.Find("chown", "coreutils"), [$"{User}", folder.CreateFolder(owned)], cancellation: cancellation);
            var process = ServerProcess.Start(
                DebianProgram.Find("unshare", "util-linux"),
                ["--mount", "--propagation", "private", "/bin/sh", "-c", "mount --bind \"$1\" /etc && shift && exec \"$@\"", "sh", etc, program, "-bdf", "-q2s"],
                folder.FullPath);
            await process.WaitUntilAsync(ct => FreePorts.AcceptsAsync(endPoint, ct), s_startTime, "exim4", cancellation);
            return new(folder, process, endPoint);
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    /// <summary>The messages that arrived so far.</summary>
    public IReadOnlyList<byte[]> ReadMaildir() =>
        Directory.Exists(_folder["mail/new"]) ? [.. Directory.GetFiles(_folder["mail/new"]).Select(File.ReadAllBytes)] : [];

    public async ValueTask DisposeAsync()
    {
        await _process.DisposeAsync();
        _folder.Dispose();
    }

    private static async Task<string> UnpackAsync(TempFolder folder, CancellationToken cancellation)
    {
        var packages = folder.CreateFolder("package");
        try
        {
            await ServerProcess.RunAsync(
                DebianProgram.Find("apt-get", "apt"), ["-q", "-o", "APT::Sandbox::User=root", "download", Package], packages, cancellation: cancellation);
        }
        catch (InvalidOperationException unknown)
        {
            throw new InvalidOperationException($"{Package} cannot be had. Fetch the lists of packages with: apt-get update\n{unknown.Message}", unknown);
        }

        await ServerProcess.RunAsync(
            DebianProgram.Find("dpkg-deb", "dpkg"), ["-x", Directory.GetFiles(packages, "*.deb").Single(), folder["program"]], cancellation: cancellation);
        return folder["program/usr/sbin/exim4"];
    }

    private static string Others(EximOptions options) => options.IsPlain ? "" : "*";

    // DSN, SMTPUTF8 and PIPELINING are offered, and used where they are; its certificate it makes by itself.
    private static string Configuration(TempFolder folder, EximOptions options, IPEndPoint endPoint) => $$"""
        primary_hostname = exim.example
        exim_path = {{folder["program/usr/sbin/exim4"]}}
        spool_directory = {{folder["spool"]}}
        log_file_path = {{folder["log/%s"]}}
        log_selector = +all -arguments
        local_interfaces = {{endPoint.Address}}
        daemon_smtp_ports = {{endPoint.Port}}
        disable_ipv6
        host_lookup =
        rfc1413_hosts =
        keep_environment =
        never_users =
        tls_advertise_hosts = {{Others(options)}}
        smtputf8_advertise_hosts = *
        chunking_advertise_hosts = {{Others(options)}}
        dsn_advertise_hosts = *
        message_size_limit = 0
        acl_smtp_mail = accept
        acl_smtp_rcpt = accept
        acl_smtp_data = accept
        local_from_check = false
        smtp_accept_max_per_connection = 0
        domainlist ours = {{string.Join(" : ", options.Domains)}}

        begin routers
        ours:
          driver = accept
          domains = +ours
          transport = maildir
        others:
          driver = {{(options.RelayHost is null ? "redirect" : "manualroute")}}
          {{(options.RelayHost is { } relay ? $"transport = remote\n  route_list = * {relay.Address}::{relay.Port} byname\n  self = send" : "data = :fail: nowhere to send to\n  allow_fail")}}

        begin transports
        maildir:
          driver = appendfile
          maildir_format
          directory = {{folder["mail"]}}
          create_directory
          user = {{User}}
          group = {{User}}
          message_prefix =
          message_suffix =
        remote:
          driver = smtp
          allow_localhost
          hosts_try_chunking = {{Others(options)}}
          hosts_avoid_tls = {{(options.IsPlain ? "*" : "")}}
          message_linelength_limit = 2147483647

        begin retry
        * * F,1h,1s

        """;
}
