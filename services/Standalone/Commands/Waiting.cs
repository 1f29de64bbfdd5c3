using MailPipeline.Mail;


namespace MailPipeline.Standalone.Commands;

/// <summary>Why mail that waits is not tried now, and when it is: what the queue obeys, as of one moment.</summary>
/// <param name="Resting">Domains that cannot be reached, with the end of their rest and why.</param>
internal sealed record Waiting(DateTimeOffset Now, DeliveryPaused? Pause, IReadOnlyDictionary<string, DomainStanding> Resting)
{
    public static async Task<Waiting> ReadAsync(OpenStore store, IEnumerable<string> domains, CancellationToken cancellation)
    {
        var now = TimeProvider.System.GetUtcNow();
        var resting = new Dictionary<string, DomainStanding>(StringComparer.Ordinal);
        foreach (var domain in domains.Distinct(StringComparer.Ordinal))
        {
            if (await store.Queue.FindStandingAsync(domain, cancellation) is { } standing && standing.BackoffUntil > now)
                resting[domain] = standing;
        }
        return new Waiting(now, await store.Operator.FindPauseAsync(cancellation), resting);
    }

    /// <summary>For one recipient: never a time that has passed.</summary>
    public string Describe(string domain, DateTimeOffset next)
    {
        if (Pause is { } pause)
            return $"waits: delivery is paused since {MessageCommands.Time(pause.Since)} by {MessageCommands.OneLine(pause.Operator)}";
        if (Resting.TryGetValue(domain, out var standing))
        {
            var later = next > standing.BackoffUntil ? next : standing.BackoffUntil;
            return $"waits: {domain} cannot be reached and rests until {MessageCommands.Time(standing.BackoffUntil)} ({MessageCommands.OneLine(standing.Reason)}); "
                + $"next attempt {MessageCommands.Time(later)}";
        }
        return next > Now ? $"next attempt {MessageCommands.Time(next)}" : "is due now";
    }
}
