using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>How a flush ended.</summary>
public enum FlushEnd
{
    /// <summary>All that waits for the domain is due.</summary>
    Started,

    NothingWaits,

    /// <summary>Operators have paused delivery: nothing was changed.</summary>
    Paused,

    /// <summary>The domain, or as many others by the same caller, was started within the interval: nothing was changed.</summary>
    TooSoon,
}

/// <param name="Messages">That wait for the domain; counted only where they were started.</param>
public sealed record QueueFlush(FlushEnd End, long Messages);

/// <summary>How often a flush is obeyed, in the whole cluster.</summary>
/// <param name="Interval">Between two of one domain.</param>
/// <param name="MostByCaller">So many within it by one caller.</param>
public sealed record FlushBounds(TimeSpan Interval, int MostByCaller);

/// <summary>
/// Makes all that waits for a domain due now, its back-off included. Who is being tried is left alone, and who is held stays so. Beside each
/// flush that finds something stands who asked for it, in the audit.
/// </summary>
public sealed class FlushStore(MailDatabase database, OperatorStore operators, SiteStore sites)
{
    /// <summary>Recipients that are changed in one transaction: nobody else waits for it long.</summary>
    internal const int Piece = 1000;

    private static readonly Statement s_waiting = new(
        "SELECT COUNT(*), COUNT(DISTINCT id >> 16) FROM recipients WHERE domain = $1 AND state = 0");

    private static readonly Statement s_any = new("SELECT 1 FROM recipients WHERE domain = $1 AND state = 0 LIMIT 1");

    private static readonly Statement s_later = new(
        "SELECT id FROM recipients WHERE domain = $1 AND state = 0 AND claim = 0 AND next_attempt_at > $2 ORDER BY next_attempt_at, id LIMIT $3");

    private static readonly Statement s_due = new(
        "UPDATE recipients SET next_attempt_at = $2, updated_at = $2 WHERE id {in_1} AND state + 0 = 0 AND claim = 0 AND next_attempt_at > $2")
    {
        Locks = SharedRows.Recipients,
    };

    // How often the domain could not be reached stays: it is tried with few recipients first.
    private static readonly Statement s_endBackoff = new(
        "UPDATE domain_queues SET backoff_until = $2 WHERE domain = $1 AND backoff_until > $2") { Locks = SharedRows.Domains };

    private static readonly Statement s_recent = new(
        """
        SELECT COUNT(CASE WHEN subject = $3 THEN 1 END), COUNT(CASE WHEN done_by = $4 THEN 1 END)
        FROM operator_audit WHERE done_at > $1 AND action = $2
        """);

    private static readonly Statement s_domains = new(
        "SELECT domain FROM domain_queues WHERE domain = $1 OR domain LIKE $2 ESCAPE '!' ORDER BY domain LIMIT $3");

    /// <summary>The domain itself and those below it for which something may wait, in order of their names.</summary>
    public async Task<IReadOnlyList<string>> ListDomainsAsync(string domain, int limit, CancellationToken cancellation) =>
        await database.QueryAsync(s_domains, r => r.GetString(0), cancellation, domain, $"%.{LikeText.Literally(domain)}", limit);

    /// <param name="domain">Name of the domain queue.</param>
    /// <param name="bounds">Null: an operator waits for nothing.</param>
    public async Task<QueueFlush> FlushAsync(string domain, OperatorIdentity by, FlushBounds? bounds)
    {
        var note = await AuditNote.BeginAsync(database, by);
        if (await operators.FindPauseAsync(CancellationToken.None) is not null)
            return new(await AnyWaitsAsync(domain) ? FlushEnd.Paused : FlushEnd.NothingWaits, 0);
        // To count very many takes its time, which nobody takes twice within the interval.
        if (bounds is not null && await IsTooSoonAsync(domain, by, bounds, note.At))
            return new(await AnyWaitsAsync(domain) ? FlushEnd.TooSoon : FlushEnd.NothingWaits, 0);
        var (recipients, messages) = (await database.QueryAsync(s_waiting, r => (r.GetInt64(0), r.GetInt64(1)), CancellationToken.None, domain))[0];
        if (recipients == 0)
            return new(FlushEnd.NothingWaits, 0);

        // Who is tried and deferred meanwhile is not made due again without end.
        for (var pieces = 0L; pieces <= recipients / Piece; pieces++)
        {
            var isFirst = pieces == 0;
            var changed = await database.WriteAsync(async transaction =>
            {
                var later = await transaction.QueryAsync(s_later, r => r.GetInt64(0), domain, note.At, Piece);
                if (later.Count > 0)
                    await transaction.ExecuteAsync(s_due, SqlValue.FromIds(later), note.At);
                if (!isFirst)
                    return later.Count;
                await QueueStore.DueNoLaterAsync(transaction, domain, note.At);
                await transaction.ExecuteAsync(s_endBackoff, domain, note.At);
                await note.WriteAsync(transaction, OperatorAction.DomainFlushed, domain, recipients: (int)Math.Min(recipients, int.MaxValue));
                return later.Count;
            });
            if (changed < Piece)
                break;
        }

        // The hosts behind it are asked too, by this domain first.
        await sites.EndRestAsync(domain, note.At);
        return new(FlushEnd.Started, messages);
    }

    /// <summary>Makes these due, whatever their domains and sites wait for. Who is being tried is left alone.</summary>
    public async Task RetryAsync(IReadOnlyCollection<RuleTarget> targets)
    {
        var now = database.Time.GetUtcNow();
        var domains = targets.Select(target => target.Domain).Distinct().Order(StringComparer.Ordinal).ToList();
        foreach (var piece in targets.Select(target => target.Recipient.RecipientId).Chunk(Piece))
            await database.WriteAsync(transaction => transaction.ExecuteAsync(s_due, SqlValue.FromIds(piece), now));
        await database.WriteAsync(async transaction =>
        {
            foreach (var due in domains.ConvertAll(domain => QueueStore.DueNoLaterAsync(transaction, domain, now)))
                await due;
            foreach (var ended in domains.ConvertAll(domain => transaction.ExecuteAsync(s_endBackoff, domain, now)))
                await ended;
            return true;
        });
        foreach (var domain in domains)
            await sites.EndRestAsync(domain, now);
    }

    private async Task<bool> AnyWaitsAsync(string domain) =>
        (await database.QueryAsync(s_any, r => true, CancellationToken.None, domain)).Count > 0;

    private async Task<bool> IsTooSoonAsync(string domain, OperatorIdentity by, FlushBounds bounds, DateTimeOffset now)
    {
        var recent = await database.QueryAsync(
            s_recent, r => (OfDomain: r.GetInt64(0), ByCaller: r.GetInt64(1)), CancellationToken.None, now - bounds.Interval,
            (long)OperatorAction.DomainFlushed, StoredText.Note(domain), StoredText.Note(by.Name));
        return recent[0].OfDomain > 0 || recent[0].ByCaller >= bounds.MostByCaller;
    }
}
