using MailPipeline.Mail;


namespace MailPipeline.Standalone.Commands;

/// <summary>Why mail that waits is not tried now, and when it is: what the queue obeys, as of one moment.</summary>
/// <param name="BackingOff">Domains that cannot be reached, with the end of their back-off and why.</param>
internal sealed record Waiting(DateTimeOffset Now, DeliveryPaused? Pause, IReadOnlyDictionary<string, DomainBackoff> BackingOff)
{
    public static async Task<Waiting> ReadAsync(OpenStore store, IEnumerable<string> domains, CancellationToken cancellation)
    {
        var now = TimeProvider.System.GetUtcNow();
        var backingOff = new Dictionary<string, DomainBackoff>(StringComparer.Ordinal);
        foreach (var domain in domains.Distinct(StringComparer.Ordinal))
        {
            if (await store.Queue.FindBackoffAsync(domain, cancellation) is { } backoff && backoff.BackoffUntil > now)
                backingOff[domain] = backoff;
        }
        return new Waiting(now, await store.Operator.FindPauseAsync(cancellation), backingOff);
    }

    /// <summary>For one recipient: never a time that has passed.</summary>
    public string Describe(string domain, DateTimeOffset next)
    {
        if (Pause is { } pause)
            return $"waits: delivery is paused since {MessageCommands.Time(pause.Since)} by {MessageCommands.OneLine(pause.Operator)}";
        if (BackingOff.TryGetValue(domain, out var backoff))
        {
            var later = next > backoff.BackoffUntil ? next : backoff.BackoffUntil;
            return $"waits: {domain} cannot be reached and backs off until {MessageCommands.Time(backoff.BackoffUntil)} ({MessageCommands.OneLine(backoff.Reason)}); "
                + $"next attempt {MessageCommands.Time(later)}";
        }
        return next > Now ? $"next attempt {MessageCommands.Time(next)}" : "is due now";
    }
}
