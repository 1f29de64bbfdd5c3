using System.Net;
using MailPipeline.MtaSts;

namespace MailPipeline.Delivery.Routing;

/// <summary>
/// The addresses of hosts of policies, by the resolvers of the settings. A stranger's policy leads to no address that his mail may not go to either: not to
/// this machine, and to private networks only where mail goes there.
/// </summary>
internal sealed class PolicyHosts(AddressLookUp addresses, LocalAddresses local) : IPolicyHosts
{
    private const int HttpsPort = 443;

    /// <summary>Tried for one policy.</summary>
    private const int MostAddresses = 4;

    public async Task<IReadOnlyList<IPEndPoint>> FindAsync(string name)
    {
        var found = await addresses.FindAsync(name);
        return [.. found.Addresses.Where(address => !local.IsOwn(address) && !local.IsRefusedPrivate(address))
            .Take(MostAddresses).Select(address => new IPEndPoint(address, HttpsPort))];
    }
}
