using System.Net;
using MailPipeline.LineServer;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Mailbox.Pop3;

/// <summary>
/// The log of what POP3 clients are refused, of one client network and of all together some lines a minute and then one that counts the
/// rest, and of what fails under them, some lines a second. Wrong passwords have counts of their own: who guesses hides behind no other
/// refusal.
/// </summary>
internal sealed class Pop3Refusals : IDisposable
{
    /// <summary>Lines about one client network in one window, and as many about its passwords.</summary>
    internal const int MaxLines = 10;

    /// <summary>Lines about all clients in one window, and as many about their passwords.</summary>
    internal const int MaxLinesOfAll = 1000;

    /// <summary>Lines of each kind of failure in a second.</summary>
    internal const int MaxFailures = 5;

    internal static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    private readonly int _prefixIPv6;
    private readonly ILogger _logger;
    private readonly LogCap<IPAddress> _clients;
    private readonly LogCap<IPAddress> _guesses;
    private readonly LogCap<int> _failures;

    public Pop3Refusals(MailboxOptions options, TimeProvider time, ILogger logger)
    {
        _prefixIPv6 = options.PrefixIPv6;
        _logger = logger;
        _clients = new(
            time, MaxLines, Window, (client, count) => logger.MoreRefused(client, count),
            new(time, MaxLinesOfAll, Window, count => logger.MoreRefusedOfAll(count)));
        _guesses = new(
            time, MaxLines, Window, (client, count) => logger.MoreLoginsRefused(client, count),
            new(time, MaxLinesOfAll, Window, count => logger.MoreLoginsRefusedOfAll(count)));
        _failures = new(time, MaxFailures, TimeSpan.FromSeconds(1), (eventId, count) => logger.MoreFailed(eventId, count));
    }

    /// <param name="reason">What there is to say besides; null: nothing.</param>
    public void Login(string connectionId, IPAddress? client, string userName, string reply, string? reason)
    {
        if (!MayWrite(_guesses, client))
            return;
        var why = reason is null ? "" : $" reason=\"{reason}\"";
        _logger.LoginRefused(client, connectionId, LogText.OrNone(LogText.Address(userName)), why, reply);
    }

    /// <param name="reply">Empty: closed without a word.</param>
    public void Connection(string connectionId, IPAddress? client, string listener, string limit, string reply)
    {
        if (MayWrite(_clients, client))
            _logger.ConnectionRefused(client, connectionId, listener, limit, LogText.OrNone(reply));
    }

    public void MaildropUnavailable(string connectionId, Exception failure)
    {
        if (_failures.MayWrite(4012))
            _logger.MaildropUnavailable(connectionId, failure);
    }

    public void ConnectionFailed(string connectionId, EndPoint? client, Exception? failure)
    {
        if (_failures.MayWrite(4022))
            _logger.ConnectionFailed(connectionId, client, failure);
    }

    public void Dispose()
    {
        _clients.Dispose();
        _guesses.Dispose();
        _failures.Dispose();
    }

    private bool MayWrite(LogCap<IPAddress> cap, IPAddress? client) =>
        client is null || cap.MayWrite(ClientNetworks.NetworkOf(client, _prefixIPv6).BaseAddress);
}
