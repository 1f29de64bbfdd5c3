using MailPipeline.Mail;

namespace MailPipeline.Queue.Domains;

/// <summary>Recipients of one domain, given to a worker together.</summary>
internal sealed record Batch(long Id, RecipientRoute Route, Recipient[] Recipients, bool Probe)
{
    /// <summary>A worker held the batch before this queue was in memory; storage alone knows its recipients.</summary>
    public bool IsAdopted => Recipients.Length == 0;

    /// <summary>The endpoint that the batch is sent to. Domains that could not be reached have one of their own (<see cref="ContractMapping.EndpointOf"/>).</summary>
    public string Endpoint => EndpointOf(Route, Probe);

    public static string EndpointOf(RecipientRoute route, bool probe) => ContractMapping.EndpointOf(route, isFailing: probe);
}
