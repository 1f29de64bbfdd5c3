using MailPipeline.Contracts;
using MailPipeline.Storage;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue;

/// <summary>
/// Addresses -> recipients: follows aliases, decides between our maildrops and the rest of the world, writes one row for
/// each recipient in one transaction for the whole batch, and tells the domains' queues. Routing a message again changes
/// nothing.
/// </summary>
internal sealed partial class Router(
    MailDirectory directory, QueueStore store, IGrainFactory grains, IOptions<QueueOptions> options, QueueTelemetry telemetry,
    ILogger<Router> log)
{
    /// <summary>Aliases of aliases are followed so far; deeper ones count as a loop.</summary>
    private const int MaxAliasDepth = 10;

    public async Task RouteAsync(IReadOnlyList<AcceptedMessage> messages, CancellationToken cancellationToken)
    {
        var routed = new RoutedMessage[messages.Count];
        for (var i = 0; i < routed.Length; i++)
        {
            using var activity = telemetry.StartActivity("route", messages[i].TraceParent);
            routed[i] = new RoutedMessage(messages[i], await ResolveAsync(messages[i], cancellationToken));
            activity?.SetTag("mailpipeline.recipients", routed[i].Recipients.Count);
        }
        var made = await store.RouteAsync(routed);
        telemetry.Routed(made.Count);
        foreach (var group in made.GroupBy(row => row.Domain, row => row.Recipient))
            await OfferAsync(group.Key, [.. group]);
    }

    /// <summary>Every recipient of the message after aliases, each mailbox once. None is without an outcome: RFC 5321 §6.1.</summary>
    internal async Task<IReadOnlyList<RoutedRecipient>> ResolveAsync(AcceptedMessage message, CancellationToken cancellationToken)
    {
        var recipients = new List<RoutedRecipient>(message.Recipients.Length);
        var seen = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < message.Recipients.Length; i++)
        {
            var address = Qualify(message.Recipients[i]);
            // One place is kept for each of those that follow.
            var room = RecipientIds.MaxPerMessage - recipients.Count - (message.Recipients.Length - 1 - i);
            var branch = new AliasBranch(message.Recipients[i], room);
            await FollowAsync(address, 0, branch, cancellationToken);
            // An alias that leads nowhere, or to more than a message can have, must not make a recipient vanish: he is refused
            // as if he were not there, and the sender is told.
            if (branch.Ends.Count == 0 || branch.IsTooWide)
                branch = branch.With(Make(address, address, DomainOf(address), RecipientRoute.Local));
            recipients.AddRange(branch.Ends.Where(end => seen.Add(MailboxKey(end))));
        }
        return recipients;
    }

    private async Task FollowAsync(string address, int depth, AliasBranch branch, CancellationToken cancellationToken)
    {
        if (branch.IsTooWide)
            return;
        var domain = DomainOf(address);
        if (!await directory.IsLocalDomainAsync(domain, cancellationToken))
        {
            branch.Ends.Add(Make(address, branch.Original, domain, RecipientRoute.Remote));
            return;
        }
        // An alias that comes back to itself ends there.
        if (!branch.Followed.Add(address))
            return;
        if (depth < MaxAliasDepth)
        {
            var targets = await directory.FindAliasAsync(address, cancellationToken);
            var account = await directory.FindAccountAsync(address, cancellationToken);
            if (targets.Count == 0 && account is null)
                targets = await directory.FindAliasAsync("@" + domain, cancellationToken);
            if (targets.Count > 0)
            {
                foreach (var target in targets)
                {
                    // An alias that names its own address keeps a copy here: "alice -> alice, bob".
                    if (account is not null && string.Equals(target, address, StringComparison.OrdinalIgnoreCase))
                        branch.Ends.Add(Make(address, branch.Original, domain, RecipientRoute.Local));
                    else
                        await FollowAsync(target, depth + 1, branch, cancellationToken);
                }
                return;
            }
        }
        // Without an account Mailbox refuses it with 5.1.1, and the sender is told.
        branch.Ends.Add(Make(address, branch.Original, domain, RecipientRoute.Local));
    }

    /// <summary>
    /// Our own mailboxes compare without regard to case, as the directory keeps them; what a local part means elsewhere only its
    /// host knows (RFC 5321 §2.4).
    /// </summary>
    private static string MailboxKey(RoutedRecipient recipient) =>
        recipient.Route == RecipientRoute.Local
            ? recipient.Address.ToLowerInvariant()
            : recipient.Address[..recipient.Address.LastIndexOf('@')] + "@" + recipient.Domain;

    private async Task OfferAsync(string domain, QueuedRecipient[] recipients)
    {
        try
        {
            await grains.GetGrain<IDomainQueueGrain>(domain).OfferAsync(recipients);
        }
        catch (Exception exception) when (exception is OrleansException or TimeoutException or StorageUnavailableException)
        {
            // The rows are there and due: the warden wakes the queue.
            LogNotOffered(log, domain, exception);
        }
    }

    private static RoutedRecipient Make(string address, string original, string domain, RecipientRoute route) =>
        new(address, string.Equals(address, original, StringComparison.OrdinalIgnoreCase) ? "" : original, domain, route);

    /// <summary>RFC 5321 §4.5.1: "Postmaster" alone is ours.</summary>
    private string Qualify(string address) => address.Contains('@') ? address : $"{address}@{options.Value.Hostname}";

    /// <summary>What one address of the envelope leads to.</summary>
    private sealed record AliasBranch(string Original, int Room)
    {
        public List<RoutedRecipient> Ends { get; private init; } = [];

        public HashSet<string> Followed { get; } = new(StringComparer.OrdinalIgnoreCase);

        public bool IsTooWide => Ends.Count > Room;

        public AliasBranch With(RoutedRecipient only) => this with { Ends = [only] };
    }

    internal static string DomainOf(string address) => address[(address.LastIndexOf('@') + 1)..].ToLowerInvariant();

    [LoggerMessage(2030, LogLevel.Warning, "{Domain}: its queue could not be told of new recipients; the warden will")]
    private static partial void LogNotOffered(ILogger log, string domain, Exception exception);
}
