namespace MailPipeline.Mail;

/// <summary>What a report tells. The numbers are stored; they never change meaning.</summary>
public enum ReportKind
{
    /// <summary>Given up (RFC 3464 §2.3.3, failed).</summary>
    Failed = 1,

    /// <summary>Still being tried (delayed).</summary>
    Delayed = 2,

    /// <summary>In a maildrop here, taken by a host that makes no reports, or led on to several (delivered, relayed, expanded).</summary>
    Succeeded = 3,
}

/// <summary>A report to the sender of a message, about some of its recipients.</summary>
/// <param name="ReportId">The message that it is; of one that was dropped there is none.</param>
/// <param name="IsDropped">It was not made: the sender had been sent as many as he may be in an hour.</param>
public sealed record ReportMade(long ReportId, ReportKind Kind, int Recipients, DateTimeOffset MadeAt, bool IsDropped);

/// <summary>What became of the reporting of one message.</summary>
/// <param name="Report">The report, which waits for the router; null where there was nothing to report, or it was dropped.</param>
/// <param name="Recipients">How many it is about, or would have been.</param>
public readonly record struct ReportEnd(Envelope? Report, int Recipients, bool IsDropped)
{
    public static readonly ReportEnd Nothing;

    public static readonly ReportEnd Changed = new() { HasChanged = true };

    /// <summary>Nothing was reported yet: who is to be told of changed at each try.</summary>
    public bool HasChanged { get; init; }
}
