using System.Globalization;
using System.Net;
using System.Text;

namespace MailPipeline.Testing;

/// <summary>How a <see cref="PostfixServer"/> is set up.</summary>
public sealed record PostfixOptions
{
    /// <summary>Domains whose mail it takes, all into one Maildir.</summary>
    public IReadOnlyList<string> Domains { get; init; } = [];

    /// <summary>Where it sends everything else; null: nowhere.</summary>
    public IPEndPoint? RelayHost { get; init; }

    public IPAddress Address { get; init; } = IPAddress.Loopback;

    /// <summary>0: a free port.</summary>
    public int Port { get; init; }

    /// <summary>Further lines of main.cf.</summary>
    public string Settings { get; init; } = "";
}

/// <summary>
/// A Postfix of its own (configuration, queue and data in a temporary folder): a far end that keeps mail for a domain in a
/// Maildir, and a client that relays to the server under test. Needs root, as Postfix does.
/// </summary>
public sealed class PostfixServer : IAsyncDisposable
{
    private const string Services = """
        {0} inet n - n - - smtpd
        pickup unix n - n 60 1 pickup
        cleanup unix n - n - 0 cleanup
        qmgr unix n - n 1 1 qmgr
        rewrite unix - - n - - trivial-rewrite
        bounce unix - - n - 0 bounce
        defer unix - - n - 0 bounce
        trace unix - - n - 0 bounce
        verify unix - - n - 1 verify
        tlsmgr unix - - n 1000? 1 tlsmgr
        flush unix n - n 1000? 0 flush
        proxymap unix - - n - - proxymap
        smtp unix - - n - - smtp
        lmtp unix - - n - - lmtp
        relay unix - - n - - smtp
        showq unix n - n - - showq
        error unix - - n - - error
        retry unix - - n - - error
        discard unix - - n - - discard
        local unix - n n - - local
        virtual unix - n n - - virtual
        anvil unix - - n - 1 anvil
        scache unix - - n - 1 scache
        postlog unix-dgram n - n - 1 postlogd

        """;

    private static readonly CompositeFormat ServicesFormat = CompositeFormat.Parse(Services);

    private readonly TempFolder _folder;

    private PostfixServer(TempFolder folder, IPEndPoint endPoint)
    {
        _folder = folder;
        EndPoint = endPoint;
    }

    public IPEndPoint EndPoint { get; }

    /// <summary>Where arriving mail is: one file per message.</summary>
    public string Maildir => _folder["mail/inbox/new"];

    /// <summary>What it logged so far.</summary>
    public string Log => File.Exists(_folder["log"]) ? File.ReadAllText(_folder["log"]) : "";

    public static async Task<PostfixServer> StartAsync(PostfixOptions options, CancellationToken cancellation = default)
    {
        var postfix = DebianProgram.Find("postfix", "postfix");
        var folder = new TempFolder("postfix");
        try
        {
            var endPoint = new IPEndPoint(options.Address, options.Port == 0 ? FreePorts.Next() : options.Port);
            folder.CreateFolder("etc");
            folder.CreateFolder("queue");
            var owner = await UserIdAsync(cancellation);
            foreach (var owned in new[] { folder.CreateFolder("data"), folder.CreateFolder("mail") })
                await ServerProcess.RunAsync(DebianProgram.Find("chown", "coreutils"), ["postfix", owned], cancellation: cancellation);
            folder.Write("etc/main.cf", MainCf(folder, options, owner));
            folder.Write("etc/master.cf", string.Format(CultureInfo.InvariantCulture, ServicesFormat, $"{endPoint.Address}:{endPoint.Port}"));
            var server = new PostfixServer(folder, endPoint);
            try
            {
                await ServerProcess.RunAsync(postfix, ["-c", folder["etc"], "start"], cancellation: cancellation);
            }
            catch (InvalidOperationException e)
            {
                throw new InvalidOperationException($"{e.Message}\n{server.Log}", e);
            }
            return server;
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    /// <summary>Hands in a message by its sendmail command, as a program on that host would; it is sent to the relay host.</summary>
    /// <param name="messageFile">The message, with CRLF or LF.</param>
    /// <param name="options">Further options of the command, e.g. those about reports.</param>
    public Task SendAsync(
        string sender, IEnumerable<string> recipients, string messageFile, CancellationToken cancellation = default, params IEnumerable<string> options) =>
        ServerProcess.RunAsync(
            "/bin/sh",
            ["-c", "file=$1; shift; exec \"$@\" < \"$file\"", "sh", messageFile,
                DebianProgram.Find("sendmail", "postfix"), "-C", _folder["etc"], "-i", "-f", sender.Length == 0 ? "<>" : sender, .. options, .. recipients],
            cancellation: cancellation);

    /// <summary>Tries everything in its queue now.</summary>
    public Task FlushAsync(CancellationToken cancellation = default) =>
        ServerProcess.RunAsync(DebianProgram.Find("postfix", "postfix"), ["-c", _folder["etc"], "flush"], cancellation: cancellation);

    /// <summary>The messages that arrived so far.</summary>
    public IReadOnlyList<byte[]> ReadMaildir() =>
        Directory.Exists(Maildir) ? [.. Directory.GetFiles(Maildir).Select(File.ReadAllBytes)] : [];

    public async ValueTask DisposeAsync()
    {
        await using var stop = ServerProcess.Start(DebianProgram.Find("postfix", "postfix"), ["-c", _folder["etc"], "stop"]);
        await stop.WaitForExitAsync();
        _folder.Dispose();
    }

    private static string MainCf(TempFolder folder, PostfixOptions options, int owner) => $"""
        compatibility_level = 3.6
        queue_directory = {folder["queue"]}
        data_directory = {folder["data"]}
        maillog_file = {folder["log"]}
        maillog_file_prefixes = {Path.GetTempPath()}
        command_directory = /usr/sbin
        daemon_directory = /usr/lib/postfix/sbin
        mail_owner = postfix
        setgid_group = postdrop
        myhostname = postfix.example
        mydestination =
        mynetworks = 127.0.0.0/8
        inet_interfaces = all
        inet_protocols = ipv4
        smtp_bind_address = 127.0.0.1
        alias_maps =
        alias_database =
        local_recipient_maps =
        biff = no
        smtpd_relay_restrictions = permit_mynetworks, reject
        virtual_mailbox_domains = {string.Join(", ", options.Domains)}
        virtual_mailbox_base = {folder["mail"]}
        virtual_mailbox_maps = static:inbox/
        virtual_mailbox_limit = 0
        virtual_minimum_uid = 1
        virtual_uid_maps = static:{owner}
        virtual_gid_maps = static:{owner}
        message_size_limit = 0
        header_size_limit = 10240000
        smtp_line_length_limit = 0
        smtpd_client_connection_count_limit = 0
        smtp_dns_support_level = disabled
        smtp_host_lookup = native
        {(options.RelayHost is { } relay ? $"relayhost = [{relay.Address}]:{relay.Port}" : "default_transport = error:nowhere to send to")}
        {options.Settings}

        """;

    private static async Task<int> UserIdAsync(CancellationToken cancellation) => int.Parse(
        await ServerProcess.RunAsync(DebianProgram.Find("id", "coreutils"), ["-u", "postfix"], cancellation: cancellation),
        CultureInfo.InvariantCulture);
}
