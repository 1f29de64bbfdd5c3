using MailPipeline.Mail;
using MailPipeline.Storage;

namespace MailPipeline.Delivery.Routing;

/// <summary>The relays of the directory. While storage is away they are those that were read last.</summary>
internal sealed class StoredRelays(MailDirectory directory) : IRelays
{
    private volatile IReadOnlyDictionary<string, MailDomain>? _last;

    public async ValueTask<Relay?> FindAsync(string domain)
    {
        IReadOnlyDictionary<string, MailDomain> relays;
        try
        {
            _last = relays = await directory.RelayedDomainsAsync(CancellationToken.None);
        }
        catch (StorageUnavailableException) when (_last is { } last)
        {
            relays = last;
        }

        return relays.TryGetValue(domain, out var found)
            ? new Relay(found.Relay != MailDomain.ByMx && NextHop.TryParse(found.Relay, out var hop) ? hop : null)
            : null;
    }
}
