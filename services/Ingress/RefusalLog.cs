using System.Net;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress;

/// <summary>
/// What was refused, to whom, and with which words, one line each. A client that is refused much gets some lines a minute, and then
/// one that counts the rest: nobody fills our disk by being refused.
/// </summary>
internal sealed partial class RefusalLog
{
    /// <summary>Lines of one client in one window.</summary>
    internal const int MaxLines = 10;

    internal static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    private readonly ILogger<RefusalLog> _log;
    private readonly int _prefixIPv6;
    private readonly LogCap<IPAddress> _clients;

    public RefusalLog(IOptions<IngressOptions> options, TimeProvider time, ILogger<RefusalLog> log)
    {
        _log = log;
        _prefixIPv6 = options.Value.PrefixIPv6;
        _clients = new(time, MaxLines, Window, (client, count) => LogUnsaid(log, client, count));
    }

    public void Write(SmtpConnection session, string command, SmtpAddress? asked, SmtpTransaction? transaction, SmtpReply reply)
    {
        if (!_log.IsEnabled(LogLevel.Information) || !MayWrite(session.Client))
            return;
        var verb = command.Length == 0 ? "unknown" : command;
        LogRefused(_log, session.Client, session.ConnectionId, verb, Subject(verb, asked, transaction), reply.ToString());
    }

    /// <summary>Wrong credentials, by the same count.</summary>
    public void WriteAuth(SmtpConnection session, string userName)
    {
        if (MayWrite(session.Client))
            LogAuthFailed(_log, session.Client, session.ConnectionId, LogText.Address(userName));
    }

    /// <summary>Who wrote to whom, as far as the dialogue has come.</summary>
    private static string Subject(string command, SmtpAddress? asked, SmtpTransaction? transaction)
    {
        // A command that was refused unread has none.
        var from = command == "MAIL"
            ? asked is null ? "" : $"from=<{LogText.Address(asked.Text)}>"
            : transaction is null ? "" : $"from=<{LogText.Address(transaction.Sender?.Text ?? "")}> ";
        return command switch
        {
            "RCPT" when asked is not null => $"{from}to=<{LogText.Address(asked.Text)}>",
            "DATA" when transaction is not null =>
                from + LogText.Recipients([.. transaction.Recipients.Select(recipient => recipient.Text)]).First(),
            _ => from.TrimEnd(),
        };
    }

    private bool MayWrite(IPAddress? client) =>
        client is null || _clients.MayWrite(ClientNetworks.NetworkOf(client, _prefixIPv6).BaseAddress);

    [LoggerMessage(1008, LogLevel.Information, "status=refused client={RemoteEndPoint} session={ConnectionId} command={Command} {Subject} reply={Reply}")]
    private static partial void LogRefused(
        ILogger log, IPAddress? remoteEndPoint, string connectionId, string command, string subject, string reply);

    [LoggerMessage(1007, LogLevel.Warning, "status=refused client={RemoteEndPoint} session={ConnectionId} command=AUTH user={UserName}")]
    private static partial void LogAuthFailed(ILogger log, IPAddress? remoteEndPoint, string connectionId, string userName);

    [LoggerMessage(1009, LogLevel.Information, "status=refused client={RemoteEndPoint} {Count} times more, not shown one by one")]
    private static partial void LogUnsaid(ILogger log, IPAddress remoteEndPoint, long count);
}
