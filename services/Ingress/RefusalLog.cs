using System.Collections.Concurrent;
using System.Net;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress;

/// <summary>
/// What was refused, to whom, and with which words, one line each. A client that is refused much gets some lines a minute, and then
/// one that counts the rest: nobody fills our disk by being refused.
/// </summary>
internal sealed partial class RefusalLog(TimeProvider time, ILogger<RefusalLog> log)
{
    /// <summary>Lines of one client in one window.</summary>
    internal const int MaxLines = 10;

    /// <summary>Clients remembered; beyond it all are forgotten, and what they have left unsaid is said.</summary>
    internal const int MaxClients = 10_000;

    internal static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<IPAddress, Refusals> _clients = [];

    public void Write(SmtpConnection session, string command, SmtpAddress? asked, SmtpTransaction? transaction, SmtpReply reply)
    {
        if (!log.IsEnabled(LogLevel.Information) || !MayWrite(session.Client))
            return;
        var verb = command.Length == 0 ? "unknown" : command;
        LogRefused(log, session.Client, session.ConnectionId, verb, Subject(verb, asked, transaction), reply.ToString());
    }

    /// <summary>Wrong credentials, by the same count.</summary>
    public void WriteAuth(SmtpConnection session, string userName)
    {
        if (MayWrite(session.Client))
            LogAuthFailed(log, session.Client, session.ConnectionId, LogText.Address(userName));
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

    private bool MayWrite(IPAddress? client)
    {
        if (client is null)
            return true;
        if (_clients.Count >= MaxClients)
        {
            foreach (var (address, left) in _clients)
            {
                if (_clients.TryRemove(address, out _) && left.Unsaid > 0)
                    LogUnsaid(log, address, left.Unsaid);
            }
        }
        var refusals = _clients.GetOrAdd(Network(client), static _ => new Refusals());
        lock (refusals)
        {
            var now = time.GetTimestamp();
            if (refusals.Lines == 0 || time.GetElapsedTime(refusals.Since, now) >= Window)
            {
                if (refusals.Unsaid > 0)
                    LogUnsaid(log, Network(client), refusals.Unsaid);
                (refusals.Since, refusals.Lines, refusals.Unsaid) = (now, 0, 0);
            }
            if (refusals.Lines < MaxLines)
            {
                refusals.Lines++;
                return true;
            }
            refusals.Unsaid++;
            return false;
        }
    }

    /// <summary>Whoever has one address of IPv6 has the other 2^64 of its network.</summary>
    private static IPAddress Network(IPAddress client)
    {
        if (client.AddressFamily != System.Net.Sockets.AddressFamily.InterNetworkV6)
            return client;
        var bytes = client.GetAddressBytes();
        bytes.AsSpan(8).Clear();
        return new IPAddress(bytes);
    }

    private sealed class Refusals
    {
        public long Since { get; set; }

        public int Lines { get; set; }

        public long Unsaid { get; set; }
    }

    [LoggerMessage(1008, LogLevel.Information, "status=refused client={RemoteEndPoint} session={ConnectionId} command={Command} {Subject} reply={Reply}")]
    private static partial void LogRefused(
        ILogger log, IPAddress? remoteEndPoint, string connectionId, string command, string subject, string reply);

    [LoggerMessage(1007, LogLevel.Warning, "status=refused client={RemoteEndPoint} session={ConnectionId} command=AUTH user={UserName}")]
    private static partial void LogAuthFailed(ILogger log, IPAddress? remoteEndPoint, string connectionId, string userName);

    [LoggerMessage(1009, LogLevel.Information, "status=refused client={RemoteEndPoint} {Count} times more, not shown one by one")]
    private static partial void LogUnsaid(ILogger log, IPAddress remoteEndPoint, long count);
}
