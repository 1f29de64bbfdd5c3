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

    /// <summary>Every recipient of the message after aliases, each address once.</summary>
    internal async Task<IReadOnlyList<RoutedRecipient>> ResolveAsync(AcceptedMessage message, CancellationToken cancellationToken)
    {
        var seen = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        var recipients = new List<RoutedRecipient>(message.Recipients.Length);
        foreach (var address in message.Recipients)
            await ResolveAsync(Qualify(address), address, 0, seen, recipients, cancellationToken);
        // An alias that leads only to itself must not make a recipient vanish: he fails, and the sender is told.
        if (recipients.Count == 0)
            recipients.Add(new RoutedRecipient(Qualify(message.Recipients[0]), "", DomainOf(Qualify(message.Recipients[0])), RecipientRoute.Local));
        return recipients;
    }

    private async Task ResolveAsync(
        string address, string original, int depth, HashSet<string> seen, List<RoutedRecipient> recipients,
        CancellationToken cancellationToken)
    {
        if (!seen.Add(address) || recipients.Count >= RecipientIds.MaxPerMessage - 1)
            return;
        var domain = DomainOf(address);
        if (!await directory.IsLocalDomainAsync(domain, cancellationToken))
        {
            recipients.Add(Make(address, original, domain, RecipientRoute.Remote));
            return;
        }
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
                        recipients.Add(Make(address, original, domain, RecipientRoute.Local));
                    else
                        await ResolveAsync(target, original, depth + 1, seen, recipients, cancellationToken);
                }
                return;
            }
        }
        // Without an account Mailbox refuses it with 5.1.1, and the sender is told.
        recipients.Add(Make(address, original, domain, RecipientRoute.Local));
    }

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

    private static string DomainOf(string address) => address[(address.LastIndexOf('@') + 1)..].ToLowerInvariant();

    [LoggerMessage(2030, LogLevel.Warning, "{Domain}: its queue could not be told of new recipients; the warden will")]
    private static partial void LogNotOffered(ILogger log, string domain, Exception exception);
}
