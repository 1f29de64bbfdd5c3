using System.ComponentModel.DataAnnotations;
using System.Net;
using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Options;

namespace MailPipeline.Console;

/// <summary>Section <c>Console</c>: where and to whom the API answers.</summary>
public sealed class ConsoleOptions
{
    public const string Section = "Console";

    /// <summary>Whether there is an API at all. Default true.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>IP address of a listener of its own, with TLS. Default 127.0.0.1: it is nobody else's business unless the operator says so.</summary>
    [Required]
    public string TlsAddress { get; set; } = "127.0.0.1";

    /// <summary>TCP port of that listener, 0 to 65535; 0: there is none. Default 0.</summary>
    [Range(0, 65535)]
    public int TlsPort { get; set; }

    /// <summary>
    /// IP addresses and networks of proxies in front that speak TLS, as an Ingress of Kubernetes does: whom they name in X-Forwarded-For is the client, and what they
    /// name in X-Forwarded-Proto is what he speaks. Default none: in clear text only who is on the same machine is answered.
    /// </summary>
    public IList<string> TrustedProxies { get; init; } = [];

    /// <summary>Requests a second from one client address, on average; 1 to 100,000. Beyond it 429. Default 50.</summary>
    [Range(1, 100_000)]
    public int RequestsPerSecond { get; set; } = 50;

    /// <summary>Requests from one client address at once; 1 to 100,000. Default 200.</summary>
    [Range(1, 100_000)]
    public int RequestBurst { get; set; } = 200;

    internal IPEndPoint TlsEndPoint => new(IPAddress.Parse(TlsAddress), TlsPort);

    /// <summary>An entry of <see cref="TrustedProxies"/>; an address alone is the network that has no other in it.</summary>
    internal static bool TryParseNetwork(string text, out IPNetwork network)
    {
        network = default;
        if (!HostAddress.TryParse(text, out var address))
            return IPNetwork.TryParse(text, out network);
        network = new IPNetwork(address, address.GetAddressBytes().Length * 8);
        return true;
    }
}

[OptionsValidator]
internal sealed partial class ConsoleOptionsValidator : IValidateOptions<ConsoleOptions>;
