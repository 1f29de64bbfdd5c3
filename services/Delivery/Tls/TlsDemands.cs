using MailPipeline.Dns;
using Microsoft.Extensions.Options;

namespace MailPipeline.Delivery.Tls;

/// <summary>
/// What TLS mail of a domain needs: what the operator says of the domain, else the setting for all domains and, over it, what the domain publishes by DANE
/// and MTA-STS.
/// </summary>
internal sealed class TlsDemands(
    StsPolicies policies, TlsResults results, DeliveryTelemetry telemetry, IOptions<DeliveryOptions> options, IOptions<DnsOptions> dns)
{
    private readonly TlsTable _table = options.Value.TlsTable;
    private readonly TlsDemand _default = new(options.Value.Tls);

    /// <summary>Without regard to what is published, as for next hops that the operator names himself.</summary>
    public TlsDemand Said(string domain) => _table.Find(domain) ?? _default;

    /// <summary>For hosts that DNS names.</summary>
    /// <param name="domain">As the queue has it.</param>
    /// <param name="name">As DNS has it.</param>
    public async Task<TlsDemand> OfMxAsync(string domain, string name)
    {
        var said = Said(domain) with { Domain = name };
        // Who never wants TLS wants no policies.
        var isOpen = said.Source == TlsSource.Default && said.Policy != TlsPolicy.None;
        var asksForSts = said.Policy == TlsPolicy.Sts || (isOpen && options.Value.MtaSts);
        return said with
        {
            Sts = asksForSts ? await policies.FindAsync(name) : null,
            FollowsDane = dns.Value.Validating && (isOpen || said.FollowsDane),
        };
    }

    /// <summary>Mail was kept from a host by what the domain asks for, before anybody spoke to it.</summary>
    public void NoteKept(TlsDemand demand, string host, string result)
    {
        var choice = result == TlsFailures.NoDnssec ? TlsChoice.OfDane(demand) : TlsChoice.Of(demand, tlsa: null);
        telemetry.TlsSession(choice.Word, result);
        results.Note(demand, choice, tlsa: null, host, "", result);
    }

    /// <summary>The resolver's word that DNSSEC vouches for an answer counts.</summary>
    public bool Trusts<T>(DnsAnswer<T> answer) => dns.Value.Validating && answer.IsAuthenticated;
}
