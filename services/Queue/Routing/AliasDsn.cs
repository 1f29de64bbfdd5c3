using MailPipeline.Smtp;

namespace MailPipeline.Queue.Routing;

/// <summary>
/// What becomes of the parameters about reports on the way through an alias (RFC 3461 §5.2.7). One that leads to one address passes them
/// on as they are; one that leads to several does too, but for SUCCESS, which is answered by a report that it did so.
/// </summary>
internal static class AliasDsn
{
    /// <summary>What the targets get of an alias that leads to several; null where its sender asked for no report of success.</summary>
    public static RcptDsn? ForExpansion(RcptDsn? dsn)
    {
        if (dsn is null || !RcptDsn.Asks(dsn.Notify, DsnNotify.Success))
            return null;
        var rest = dsn.Notify & ~DsnNotify.Success;
        // Without any word they would be told of as if nothing had been said.
        return dsn with { Notify = rest == DsnNotify.Unsaid ? DsnNotify.Never : rest };
    }

    /// <summary>Of one recipient that the envelope names in two ways.</summary>
    public static RcptDsn Join(RcptDsn one, RcptDsn other)
    {
        var notify = Spoken(one.Notify) | Spoken(other.Notify);
        return new(
            one.Notify == other.Notify ? one.Notify : notify == DsnNotify.Unsaid ? DsnNotify.Never : notify,
            one.OriginalRecipient.Length > 0 ? one.OriginalRecipient : other.OriginalRecipient);
    }

    /// <summary>The reports by name, also of who said nothing; none for NEVER.</summary>
    private static DsnNotify Spoken(DsnNotify notify) =>
        notify == DsnNotify.Unsaid ? DsnNotify.Failure | DsnNotify.Delay : notify & ~DsnNotify.Never;
}
