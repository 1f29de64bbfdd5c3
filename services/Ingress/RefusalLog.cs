using System.Net;
using MailPipeline.LineServer;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress;

/// <summary>
/// What was refused, to whom, and with which words, one line each. A client that is refused much gets some lines a minute, and then
/// one that counts the rest, and so do all clients together: nobody fills our disk by being refused. Wrong credentials have counts of
/// their own: who guesses hides behind no other refusal.
/// </summary>
internal sealed partial class RefusalLog : IDisposable
{
    /// <summary>Lines of one client in one window, and as many about its credentials.</summary>
    internal const int MaxLines = 10;

    /// <summary>Lines of all clients in one window, and as many about their credentials.</summary>
    internal const int MaxLinesOfAll = 1000;

    internal static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    private readonly ILogger<RefusalLog> _log;
    private readonly int _prefixIPv6;
    private readonly LogCap<IPAddress> _clients;
    private readonly LogCap<IPAddress> _guesses;

    public RefusalLog(IOptions<IngressOptions> options, TimeProvider time, ILogger<RefusalLog> log)
    {
        _log = log;
        _prefixIPv6 = options.Value.PrefixIPv6;
        _clients = new(
            time, MaxLines, Window, (client, count) => LogUnsaid(log, client, count),
            new(time, MaxLinesOfAll, Window, count => LogUnsaidOfAll(log, count)));
        _guesses = new(
            time, MaxLines, Window, (client, count) => LogGuessesUnsaid(log, client, count),
            new(time, MaxLinesOfAll, Window, count => LogGuessesUnsaidOfAll(log, count)));
    }

    /// <param name="asked">The path of this MAIL or RCPT, as it was given where it could not be read; null where none was given.</param>
    /// <param name="rule">The operator's, by which it was refused; null where there is none.</param>
    public void Write(SmtpConnection session, string command, string? asked, SmtpTransaction? transaction, SmtpReply reply, string? rule)
    {
        if (!_log.IsEnabled(LogLevel.Information) || !MayWrite(_clients, session.Client))
            return;
        var verb = command.Length == 0 ? "unknown" : command;
        var user = LogText.Address(session.UserName ?? "-");
        var subject = Subject(verb, asked, transaction) + (rule is null ? "" : $" rule={LogText.Address(rule)}");
        LogRefused(_log, session.Client, session.ConnectionId, user, verb, subject, reply.ToString());
    }

    /// <param name="reason">What there is to say besides; null: nothing.</param>
    public void WriteAuth(SmtpConnection session, string userName, SmtpReply reply, string? reason)
    {
        if (!MayWrite(_guesses, session.Client))
            return;
        var why = reason is null ? "" : $" reason=\"{reason}\"";
        LogAuthFailed(_log, session.Client, session.ConnectionId, LogText.Address(userName), why, reply.ToString());
    }

    /// <param name="limit">The limit that is reached, as the metric has it.</param>
    /// <param name="reply">Null: closed without a word.</param>
    public void WriteTurnedAway(string connectionId, IPAddress? client, string limit, SmtpReply? reply)
    {
        if (_log.IsEnabled(LogLevel.Information) && MayWrite(_clients, client))
            LogTurnedAway(_log, client, connectionId, limit, LogText.OrNone(reply?.ToString() ?? ""));
    }

    public void Dispose()
    {
        _clients.Dispose();
        _guesses.Dispose();
    }

    /// <summary>Who wrote to whom, as far as the dialogue has come, with a space before each key.</summary>
    private static string Subject(string command, string? asked, SmtpTransaction? transaction)
    {
        var sender = command == "MAIL" ? asked : transaction is null ? null : transaction.Sender?.Text ?? "";
        // A command that was refused unread has none.
        var from = sender is null ? "" : $" from=<{LogText.Address(sender)}>";
        return command switch
        {
            "RCPT" when asked is not null => $"{from} to=<{LogText.Address(asked)}>",
            "DATA" when transaction is not null =>
                $"{from} {LogText.Recipients([.. transaction.Recipients.Select(recipient => recipient.Text)]).First()}",
            _ => from,
        };
    }

    private bool MayWrite(LogCap<IPAddress> cap, IPAddress? client) =>
        client is null || cap.MayWrite(ClientNetworks.NetworkOf(client, _prefixIPv6).BaseAddress);

    [LoggerMessage(1008, LogLevel.Information, "status=refused client={RemoteEndPoint} session={ConnectionId} user={UserName} command={Command}{Subject} reply={Reply}")]
    private static partial void LogRefused(
        ILogger log, IPAddress? remoteEndPoint, string connectionId, string userName, string command, string subject, string reply);

    [LoggerMessage(1007, LogLevel.Warning, "status=refused client={RemoteEndPoint} session={ConnectionId} command=AUTH user={UserName}{Reason} reply={Reply}")]
    private static partial void LogAuthFailed(ILogger log, IPAddress? remoteEndPoint, string connectionId, string userName, string reason, string reply);

    [LoggerMessage(1005, LogLevel.Information, "status=refused client={RemoteEndPoint} session={ConnectionId} limit={Limit} reply={Reply}")]
    private static partial void LogTurnedAway(ILogger log, IPAddress? remoteEndPoint, string connectionId, string limit, string reply);

    [LoggerMessage(1009, LogLevel.Information, "status=refused client={RemoteEndPoint} {Count} times more, not shown one by one")]
    private static partial void LogUnsaid(ILogger log, IPAddress remoteEndPoint, long count);

    [LoggerMessage(1010, LogLevel.Warning, "status=refused client={RemoteEndPoint} command=AUTH {Count} times more, not shown one by one")]
    private static partial void LogGuessesUnsaid(ILogger log, IPAddress remoteEndPoint, long count);

    [LoggerMessage(1011, LogLevel.Warning, "status=refused client=many {Count} times more, not shown one by one")]
    private static partial void LogUnsaidOfAll(ILogger log, long count);

    [LoggerMessage(1012, LogLevel.Warning, "status=refused client=many command=AUTH {Count} times more, not shown one by one")]
    private static partial void LogGuessesUnsaidOfAll(ILogger log, long count);
}
