using MailPipeline.Mail;
using MailPipeline.Queue.Domains;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;
using MailPipeline.Storage;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Routing;

/// <summary>
/// Addresses -> recipients: asks where each address leads, writes one row for each recipient in one transaction for the whole
/// batch, and tells the domains' queues. Routing a message again changes nothing.
/// </summary>
internal sealed partial class Router(
    AddressResolver addresses, HostPostmaster hostPostmaster, ForwardedSender forwardedSender, SuppressedRecipients suppressedRecipients, QueueStore store, IGrainFactory grains, EndpointGate gate,
    IOptions<QueueOptions> options, IOptions<EventOptions> events, QueueTelemetry telemetry, ILogger<Router> log)
{
    public async Task RouteAsync(IReadOnlyList<Envelope> messages, CancellationToken cancellationToken)
    {
        var routed = new RoutedMessage[messages.Count];
        for (var i = 0; i < routed.Length; i++)
        {
            using var activity = telemetry.StartActivity("route", messages[i].TraceParent);
            var recipients = await ResolveAsync(messages[i], cancellationToken);
            routed[i] = new RoutedMessage(messages[i], recipients, IsToAnyOf(_reportAddresses, messages[i], recipients), options.Value.MessageSearch,
                IsToAnyOf(_feedbackAddresses, messages[i], recipients));
            activity?.SetTag("mailpipeline.recipients", routed[i].Recipients.Count);
        }
        await suppressedRecipients.MarkAsync(routed, cancellationToken);
        var suppressed = new List<(long RecipientId, RoutedRecipient Recipient)>();
        var made = await store.RouteAsync(routed, options.Value.ReportDelay, suppressed);
        telemetry.Routed(made.Count);
        foreach (var (id, recipient) in suppressed)
            NoteSuppressed(id, recipient);
        // Where nobody takes batches they wait in storage. Which domains are failing their queues know.
        foreach (var group in made.Where(row => gate.IsOpen(Batch.EndpointOf(row.Recipient.Route, probe: false))).GroupBy(row => row.Domain, row => row.Recipient))
            await OfferAsync(group.Key, [.. group]);
    }

    /// <summary>Every recipient of the message after aliases, each mailbox once. None is without an outcome: RFC 5321 §6.1.</summary>
    internal async Task<IReadOnlyList<RoutedRecipient>> ResolveAsync(Envelope message, CancellationToken cancellationToken)
    {
        var recipients = new List<RoutedRecipient>(message.Recipients.Length);
        var seen = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var i = 0; i < message.Recipients.Length; i++)
        {
            var address = Qualify(message.Recipients[i]);
            var dsn = message.Dsn?.Recipients[i];
            // A place is kept for each of those that follow, and one for an alias of which the sender is told: of this one, and of each of those.
            var places = message.Dsn is null ? 1 : 2;
            var room = RecipientIds.MaxPerMessage - recipients.Count - (places * (message.Recipients.Length - 1 - i)) - (places - 1);
            var (isLocal, ends, fault) = await addresses.ResolveAsync(address, cancellationToken, room, message.AcceptedAt);
            // Who named another system's address did not come by an alias.
            var named = isLocal ? null : ends[0].Address;
            // The aliases were in order when he was accepted. Where they lead nowhere now, or to more than a message can have, he is
            // refused as if he were not there (5.1.1, by Mailbox), and the sender is told.
            if (ends.Count == 0 || fault == AddressFault.TooWide)
                ends = [new AddressEnd(address, DomainKey.Of(address), RecipientRoute.Local)];
            ends = await WithPostmasterAsync(ends, room, cancellationToken);
            if (ends.Count > 1 && MayExpand(message) && AliasDsn.ForExpansion(dsn) is { } ofTargets)
            {
                recipients.Add(new RoutedRecipient(address, "", DomainKey.Of(address), RecipientRoute.Local, dsn, IsExpanded: true));
                dsn = ofTargets;
            }
            foreach (var end in ends)
            {
                var mailbox = MailboxKey(end);
                if (seen.TryAdd(mailbox, recipients.Count))
                    recipients.Add(await MakeAsync(message, end, message.Recipients[i], dsn, isForwarded: end.Address != named, cancellationToken));
                else if (dsn is not null)
                    Join(recipients, seen[mailbox], dsn);
            }
        }
        return recipients;
    }

    private void NoteSuppressed(long id, RoutedRecipient recipient)
    {
        var suppression = recipient.Suppression!;
        telemetry.Suppressed(suppression.Cause);
        telemetry.Decided(RecipientState.Bounced);
        if (log.IsEnabled(LogLevel.Information))
        {
            LogSuppressed(
                log, MessageIds.ToText(RecipientIds.MessageId(id)), LogText.Address(recipient.Address), LogText.Original(recipient.Original),
                Suppression.Status, suppression.Explanation);
        }
    }

    private readonly HashSet<string> _reportAddresses = new(options.Value.DmarcReports.Addresses.Select(MailName.Key), StringComparer.Ordinal);

    private readonly HashSet<string> _feedbackAddresses = new(events.Value.FeedbackAddresses.Select(MailName.Key), StringComparer.Ordinal);

    /// <summary>Whatever was written, or where an alias has led it.</summary>
    private static bool IsToAnyOf(HashSet<string> addresses, Envelope message, IReadOnlyList<RoutedRecipient> recipients) => addresses.Count > 0
        && (message.Recipients.Any(address => addresses.Contains(MailName.Key(address)))
            || recipients.Any(recipient => recipient.Route == RecipientRoute.Local && addresses.Contains(MailName.Key(recipient.Address))));

    // A message that is held goes nowhere yet, and the null sender is told nothing (RFC 5321 §4.5.5).
    private static bool MayExpand(Envelope message) => message.HoldReason.Length == 0 && message.Sender.Length > 0;

    /// <summary>Who is named in two ways is told of as either wants it.</summary>
    private static void Join(List<RoutedRecipient> recipients, int index, RcptDsn other)
    {
        if (recipients[index] is { Dsn: { } dsn } recipient)
            recipients[index] = recipient with { Dsn = AliasDsn.Join(dsn, other) };
    }

    /// <summary>
    /// Our own mailboxes compare without regard to case and whatever detail they were given, as the directory keeps them; what a local
    /// part means elsewhere only its host knows (RFC 5321 §2.4).
    /// </summary>
    private static string MailboxKey(AddressEnd end) =>
        end.Route == RecipientRoute.Local
            ? MailName.Key(end.Account ?? end.Address)
            : end.Address[..end.Address.LastIndexOf('@')] + "@" + end.Domain;

    private async Task OfferAsync(string domain, Recipient[] recipients)
    {
        try
        {
            await grains.GetGrain<IDomainQueueGrain>(domain).OfferAsync(Array.ConvertAll(recipients, ContractMapping.ToContract));
        }
        catch (Exception exception) when (exception is OrleansException or TimeoutException or StorageUnavailableException)
        {
            // The rows are there and due: the reconciler wakes the queue.
            LogNotOffered(log, domain, exception);
        }
    }

    private async ValueTask<RoutedRecipient> MakeAsync(
        Envelope message, AddressEnd end, string original, RcptDsn? dsn, bool isForwarded, CancellationToken cancellationToken) => new(
        end.Address, string.Equals(end.Address, original, StringComparison.OrdinalIgnoreCase) ? "" : original, end.Domain, end.Route, dsn,
        ReturnPath: isForwarded ? await forwardedSender.FindAsync(message, end, cancellationToken) : "");

    /// <summary>
    /// An alias may lead to MAILER-DAEMON or postmaster of this host, and an envelope hold them from before: no host of another
    /// system has them. Where nobody is postmaster, he is refused as if he were not there (5.1.1, by Mailbox).
    /// </summary>
    private async ValueTask<IReadOnlyList<AddressEnd>> WithPostmasterAsync(
        IReadOnlyList<AddressEnd> ends, int room, CancellationToken cancellationToken)
    {
        var host = options.Value.HostName;
        if (!ends.Any(IsMeant))
            return ends;
        List<AddressEnd> all = [.. ends.Where(end => !IsMeant(end))];
        var others = all.Count;
        if (await hostPostmaster.FindAsync(host, options.Value.Postmaster, cancellationToken) is { } found)
        {
            var (_, postmaster, fault) = await addresses.ResolveAsync(found, cancellationToken, room - others);
            if (fault != AddressFault.TooWide)
                all.AddRange(postmaster.Where(end => !IsMeant(end)));
        }
        // Nobody, or somebody whose mail leads back here, or who is gone since he was asked for.
        if (all.Count == others)
            all.Add(ends.First(IsMeant) with { Route = RecipientRoute.Local });
        return all;

        bool IsMeant(AddressEnd end) =>
            (end.Route == RecipientRoute.Remote || !end.IsThere) && HostPostmaster.IsMeantBy(end.Address, host);
    }

    /// <summary>RFC 5321 §4.5.1: "Postmaster" alone is ours.</summary>
    private string Qualify(string address) => address.Contains('@') ? address : $"{address}@{options.Value.HostName}";

    [LoggerMessage(2031, LogLevel.Information, "message={MessageId} to=<{Recipient}>{Original} relay=- status=bounced dsn={Status} reply={Reply}")]
    private static partial void LogSuppressed(ILogger log, string messageId, string recipient, string original, string status, string reply);

    [LoggerMessage(2030, LogLevel.Warning, "{Domain}: its queue could not be told of new recipients; the reconciler will")]
    private static partial void LogNotOffered(ILogger log, string domain, Exception exception);
}
