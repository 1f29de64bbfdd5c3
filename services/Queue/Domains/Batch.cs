using MailPipeline.Mail;
using MailPipeline.Queue.Sites;

namespace MailPipeline.Queue.Domains;

/// <summary>Recipients of one domain, given to a worker together.</summary>
internal sealed record Batch(long Id, RecipientRoute Route, Recipient[] Recipients, bool Probe)
{
    /// <summary>The site whose permit it has; empty: none is known; null: it goes wherever DNS leads, as local mail and batches of former lives do.</summary>
    public string? Site { get; init; }

    /// <summary>Of the permit (<see cref="SitePermit.Epoch"/>).</summary>
    public long SiteEpoch { get; init; }

    /// <summary>Where a rule leads it in the place of the domain's hosts; null: to these.</summary>
    public string? RedirectTo { get; init; }

    /// <summary>Under which name its sender's rate is kept (<see cref="SenderRate"/>), by whose permit it goes; null: it needs none.</summary>
    public string? Sender { get; init; }

    /// <summary>Of that permit.</summary>
    public long SenderEpoch { get; init; }

    /// <summary>Its connection is counted, and not kept for whatever batch follows on its worker.</summary>
    public bool EndsConnection { get; init; }

    /// <summary>It may be kept for the batch that has its permit next.</summary>
    public bool MayKeep { get; init; }

    /// <summary>The connection that it is to go over, and by it the worker; null: a new one.</summary>
    public KeptPermit? Kept { get; init; }

    /// <summary>A connection takes no more messages than these; 0: nothing is said of it.</summary>
    public int MessagesPerConnection { get; init; }

    /// <summary>Somebody counts its messages by the second.</summary>
    public bool IsPaced { get; init; }

    /// <summary>Different ones.</summary>
    public int Messages => Recipients.DistinctBy(recipient => recipient.MessageId).Count();

    /// <summary>A worker held the batch before this queue was in memory; storage alone knows its recipients.</summary>
    public bool IsAdopted => Recipients.Length == 0;

    /// <summary>The endpoint that the batch is sent to. Domains that could not be reached have one of their own (<see cref="ContractMapping.EndpointOf"/>).</summary>
    public string Endpoint => EndpointOf(Route, Probe);

    public static string EndpointOf(RecipientRoute route, bool probe) => ContractMapping.EndpointOf(route, isFailing: probe);
}
