using MailPipeline.Delivery.Batches;
using MailPipeline.Delivery.Routing;
using MailPipeline.Delivery.Sources;
using MailPipeline.Mail;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;

namespace MailPipeline.Delivery.Smtp;

/// <summary>
/// Asks the next hop of a domain that we relay for whether it takes a recipient: the dialogue of a delivery up to RCPT, with the null path as
/// sender, and then QUIT in the place of DATA. The first host that answers decides. Of domains that we do not relay for nobody is asked.
/// </summary>
internal sealed class RecipientProbe(
    IRelays relays, MxResolver resolver, HostFailures failures, SmtpConnector connector, SourceSlots sources, IOptions<DeliveryOptions> options, TimeProvider time,
    ILogger<RecipientProbe> log)
{
    /// <summary>Longer than anybody waits for the answer, which serves the sender's next try: a host that is slow, and not away, gives one.</summary>
    internal static readonly TimeSpan LongestDialogue = TimeSpan.FromSeconds(25);

    /// <summary>For one address, from the connection to its greeting: a better host that is dead leaves time for the next.</summary>
    internal static readonly TimeSpan LongestStart = TimeSpan.FromSeconds(8);

    /// <summary>Of one host.</summary>
    private const int MostAddresses = 2;

    private static readonly Recipient s_nobody = new(
        0, "", "", 0, BodyType.SevenBit, 0, DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch, RecipientRoute.Remote, "");

    private const string Mail = "MAIL";
    private const string Rcpt = "RCPT";

    // RFC 6531 §3.5: it could not even be asked about, and no message would get there.
    private static readonly SmtpReply s_noUtf8 = new(550, "5.6.7", "The next hop does not offer SMTPUTF8, which the address needs");

    public async Task<ProbeResult> AskAsync(string address, CancellationToken cancellationToken)
    {
        var domain = address[(address.LastIndexOf('@') + 1)..];
        if (!SmtpAddress.TryParse(address, out var parsed, allowUtf8: true) || await relays.FindAsync(domain) is null)
            return ProbeResult.Away;
        using var late = new CancellationTokenSource(LongestDialogue, time);
        // As a report to him would leave. What is only asked counts in no plan.
        var pool = sources.Table.IsEmpty ? "" : sources.Table.PoolsTo(domain)(s_nobody);
        using var outlet = pool.Length == 0 ? null : new SourceOutlet(sources, pool, () => 0, isCounted: false);
        var resolution = await resolver.ResolveAsync(domain).WaitAsync(cancellationToken);
        var (host, reply) = ("", resolution.Failure?.Text ?? "No host has an address");
        var lookUps = new HostLookUps(resolution.Hosts, resolver, failures, options.Value, time);
        for (var tries = 0; !late.IsCancellationRequested && await lookUps.NextAsync().WaitAsync(cancellationToken) is var (target, found);)
        {
            foreach (var ip in failures.LivingFirst(found.Addresses).Take(MostAddresses))
            {
                if (late.IsCancellationRequested || ++tries > options.Value.MaxHosts)
                    break;
                using var slow = new CancellationTokenSource(LongestStart, time);
                using var giveUp = CancellationTokenSource.CreateLinkedTokenSource(late.Token, slow.Token);
                var result = await connector.ConnectAsync(
                    new DialPlan(target with { Tlsa = found.Tlsa }, outlet, IsCounted: false, giveUp.Token), ip, cancellationToken);
                (host, reply) = (result.RemoteHost, result.Reply);
                if (result.IsUnreachable)
                    failures.Note(ip);
                if (result.Connection is not { } connection)
                    continue;
                failures.Forget(ip);
                return await AskAsync(connection, parsed!, late.Token, cancellationToken);
            }
        }

        log.RecipientVerified(address, host, Word(ProbeAnswer.Away), reply);
        return ProbeResult.Away;
    }

    private async Task<ProbeResult> AskAsync(SmtpClientConnection connection, SmtpAddress address, CancellationToken late, CancellationToken cancellationToken)
    {
        using var giveUp = late.UnsafeRegister(state => ((SmtpClientConnection)state!).GiveUp(), connection);
        using var abort = cancellationToken.UnsafeRegister(state => ((SmtpClientConnection)state!).Abort(), connection);
        ProbeResult result;
        string text;
        try
        {
            var (answer, reply) = await SpeakAsync(connection, address);
            result = new ProbeResult(answer, answer == ProbeAnswer.Refused ? RemoteReply.Status(reply, AttemptOutcome.Failed) : "");
            text = RemoteReply.Line(reply);
            // What was begun ends with it (RFC 5321 §4.1.1.10).
            _ = connection.QuitAsync();
        }
        catch (SmtpConnectionException broken)
        {
            await connection.DisposeAsync();
            cancellationToken.ThrowIfCancellationRequested();
            (result, text) = (ProbeResult.Away, broken.Reply);
        }

        log.RecipientVerified(address.Text, connection.RemoteHost, Word(result.Answer), text);
        return result;
    }

    /// <summary>MAIL and RCPT. What is said to MAIL is about us, or about everybody: the recipient is not refused by it.</summary>
    private async Task<(ProbeAnswer Answer, SmtpReply Reply)> SpeakAsync(SmtpClientConnection connection, SmtpAddress address)
    {
        var timeouts = options.Value.Timeouts;
        if (address.NeedsSmtpUtf8 && !connection.Capabilities.SmtpUtf8)
            return (ProbeAnswer.Refused, s_noUtf8);
        await connection.WriteLineAsync(address.NeedsSmtpUtf8 ? "MAIL FROM:<> SMTPUTF8" : "MAIL FROM:<>", timeouts.Mail);
        await connection.FlushAsync(timeouts.Mail);
        var reply = await connection.ReadReplyAsync(Mail, timeouts.Mail);
        if (!reply.IsSuccess)
            return (ProbeAnswer.Away, reply);
        await connection.WriteLineAsync($"RCPT TO:<{address}>", timeouts.Rcpt);
        await connection.FlushAsync(timeouts.Rcpt);
        reply = await connection.ReadReplyAsync(Rcpt, timeouts.Rcpt);
        return (reply.IsSuccess ? ProbeAnswer.Taken
            : RemoteReply.Outcome(reply, TransactionStep.Rcpt, connection.FellBackToClear) == AttemptOutcome.Failed && IsOfRecipient(reply) ? ProbeAnswer.Refused
            : ProbeAnswer.PutOff, reply);
    }

    /// <summary>
    /// The address is refused, and not us, our sender or our connection, about which another may hear otherwise: a status of addresses or mailboxes
    /// (RFC 3463 §3.2, §3.3), none, or the one that Exchange Online has for a directory without the name.
    /// </summary>
    private static bool IsOfRecipient(SmtpReply reply) => reply.Status is null or { Subject: 0 or 1 or 2 } or { Subject: 4, Detail: 1 };

    private static string Word(ProbeAnswer answer) => answer switch
    {
        ProbeAnswer.Taken => "taken",
        ProbeAnswer.Refused => "refused",
        ProbeAnswer.PutOff => "put-off",
        _ => "none",
    };
}

/// <summary>What a probe has heard.</summary>
/// <param name="Status">Of a refusal, its enhanced status (RFC 3463).</param>
internal readonly record struct ProbeResult(ProbeAnswer Answer, string Status = "")
{
    public static ProbeResult Away => new(ProbeAnswer.Away);
}

/// <summary>What the next hop says of a recipient.</summary>
internal enum ProbeAnswer
{
    /// <summary>Nothing: it could not be asked, or had no answer about anybody.</summary>
    Away,
    Taken,

    /// <summary>For good.</summary>
    Refused,

    /// <summary>It may take him another time.</summary>
    PutOff,
}
