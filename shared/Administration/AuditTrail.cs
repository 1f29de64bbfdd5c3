using MailPipeline.Mail;

namespace MailPipeline.Administration;

/// <summary>Acts of operators, in the order in which they were done.</summary>
/// <param name="HasMore">There are earlier ones that are not here.</param>
public sealed record AuditFound(IReadOnlyList<AuditEntry> Entries, bool HasMore);

/// <summary>Who did what, and when. Each act that changed something has one entry, made with the change; one that did not has none.</summary>
public sealed class AuditTrail(AuditLog log)
{
    /// <param name="most">So many of the last ones.</param>
    /// <param name="until">Up to then; null: up to now.</param>
    public async Task<AuditFound> ListAsync(DateTimeOffset since, int most, CancellationToken cancellation, DateTimeOffset? until = null)
    {
        var last = await log.ListAsync(since, most + 1, cancellation, until);
        return new AuditFound([.. last.Take(most).Reverse()], last.Count > most);
    }
}
