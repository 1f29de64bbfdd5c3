using System.Net;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Mailbox.Pop3;

/// <summary>
/// The log of what POP3 clients are refused, of one client network some lines a minute and then one that counts the rest, and of what
/// fails under them, some lines a second.
/// </summary>
internal sealed class Pop3Refusals
{
    /// <summary>Lines about one client network in one window.</summary>
    internal const int MaxLines = 10;

    /// <summary>Lines of each kind of failure in a second.</summary>
    internal const int MaxFailures = 5;

    internal static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    private readonly int _prefixIPv6;
    private readonly ILogger _logger;
    private readonly LogCap<IPAddress> _clients;
    private readonly LogCap<int> _failures;

    public Pop3Refusals(MailboxOptions options, TimeProvider time, ILogger logger)
    {
        _prefixIPv6 = options.PrefixIPv6;
        _logger = logger;
        _clients = new(time, MaxLines, Window, (client, count) => logger.MoreRefused(client, count));
        _failures = new(time, MaxFailures, TimeSpan.FromSeconds(1), (eventId, count) => logger.MoreFailed(eventId, count));
    }

    public void Login(string connectionId, EndPoint? client, string userName)
    {
        if (MayWrite(client))
            _logger.LoginRefused(connectionId, client, userName);
    }

    public void Connection(string connectionId, EndPoint? client, string listener, string limit)
    {
        if (MayWrite(client))
            _logger.ConnectionRefused(connectionId, client, listener, limit);
    }

    public void MaildropUnavailable(string connectionId, Exception failure)
    {
        if (_failures.MayWrite(4012))
            _logger.MaildropUnavailable(connectionId, failure);
    }

    public void ConnectionFailed(string connectionId, EndPoint? client, Exception failure)
    {
        if (_failures.MayWrite(4022))
            _logger.ConnectionFailed(connectionId, client, failure);
    }

    private bool MayWrite(EndPoint? client) =>
        client is not IPEndPoint { Address: var address } || _clients.MayWrite(ClientNetworks.NetworkOf(address, _prefixIPv6).BaseAddress);
}
