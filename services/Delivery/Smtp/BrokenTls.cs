using System.Net;
using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Options;

namespace MailPipeline.Delivery.Smtp;

/// <summary>
/// Hosts whose TLS failed lately. Mail that no policy keeps from it goes to them in clear text at once, for <see cref="DeliveryOptions.BrokenTlsTime"/>: then
/// TLS is tried again.
/// </summary>
internal sealed class BrokenTls(IOptions<DeliveryOptions> options, TimeProvider time)
{
    private const int Remembered = 20_000;

    private readonly RecentEvents _events = new(Remembered, options.Value.BrokenTlsTime, time);

    public void Note(string host, IPAddress address) => _events.Note(Key(host, address));

    public bool Has(string host, IPAddress address) => _events.Has(Key(host, address));

    private static string Key(string host, IPAddress address) => $"{host} {address}";
}
