using MailPipeline.Mail;

namespace MailPipeline.Delivery.Routing;

/// <summary>The domains that we relay for, as the operator added them.</summary>
internal interface IRelays
{
    /// <summary>Null: the domain is none of them.</summary>
    ValueTask<Relay?> FindAsync(string domain);
}

/// <summary>Where the mail of a domain goes that we relay for.</summary>
/// <param name="Hop">Null: to its MX.</param>
internal sealed record Relay(NextHop? Hop);
