using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// What this system calls itself towards others as long as no setting says so (RFC 5321 §4.1.1.1, §4.1.4): its full name by DNS, else
/// the address that it sends from, as a literal (§4.1.3). Never a bare machine name, which means nothing to others.
/// </summary>
/// <param name="Text">"mx.example.org", "[192.0.2.1]" or "[IPv6:2001:db8::1]".</param>
public sealed record OwnHostName(string Text)
{
    /// <summary>A resolver that does not answer must not keep a service from starting.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(3);

    /// <summary>Names for use within a machine or a network (RFC 6761, RFC 6762).</summary>
    private static readonly string[] s_notForOthers = ["localhost", "localdomain", "local", "invalid"];

    /// <summary>Nobody answers there (RFC 5737, RFC 3849); it is asked which way a packet to it would go, and none is sent.</summary>
    private static readonly IPEndPoint[] s_elsewhere = [new(IPAddress.Parse("192.0.2.1"), 25), new(IPAddress.Parse("2001:db8::1"), 25)];

    private static readonly Lazy<OwnHostName> s_default = new(() => Find(Dns.GetHostName(), CanonicalName, OutgoingAddress));

    /// <summary>This machine's; found once, which may take the time of a DNS question.</summary>
    public static OwnHostName Default => s_default.Value;

    public bool IsAddress => Text.StartsWith('[');

    /// <summary>For a certificate of its own: the machine's name stands beside an address.</summary>
    internal IReadOnlyList<string> CertificateNames => IsAddress ? [Dns.GetHostName(), Text] : [Text];

    /// <param name="machine">What the machine is called.</param>
    /// <param name="canonicalName">Asks DNS, and the machine's list of hosts, for its whole name; null without an answer.</param>
    /// <param name="outgoingAddress">From where packets leave.</param>
    internal static OwnHostName Find(string machine, Func<string, string?> canonicalName, Func<IPAddress> outgoingAddress) =>
        FullName(machine) is { } whole ? new OwnHostName(whole)
        : FullName(canonicalName(machine)) is { } canonical ? new OwnHostName(canonical)
        : new OwnHostName(HostAddress.Literal(outgoingAddress()));

    /// <summary>The name in lower case if others can make something of it: of letters, digits and hyphens, with a domain behind it.</summary>
    private static string? FullName(string? name)
    {
        name = name?.TrimEnd('.').ToLowerInvariant() ?? "";
        var labels = name.Split('.');
        return labels.Length > 1 && name.Length <= 253 && labels.All(IsLabel) && !labels[^1].All(char.IsAsciiDigit) && !s_notForOthers.Contains(labels[^1])
            ? name
            : null;
    }

    private static bool IsLabel(string label) =>
        label.Length is > 0 and <= 63 && label[0] != '-' && label[^1] != '-' && label.All(c => char.IsAsciiLetterOrDigit(c) || c == '-');

    private static string? CanonicalName(string machine)
    {
        try
        {
            return Dns.GetHostEntryAsync(machine).WaitAsync(s_patience, TimeProvider.System).GetAwaiter().GetResult().HostName;
        }
        catch (Exception error) when (error is SocketException or TimeoutException or ArgumentException)
        {
            return null;
        }
    }

    private static IPAddress OutgoingAddress()
    {
        foreach (var elsewhere in s_elsewhere)
        {
            try
            {
                using var socket = new Socket(elsewhere.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
                socket.Connect(elsewhere);
                if (socket.LocalEndPoint is IPEndPoint { Address: var address } && IsOfUse(address))
                    return address;
            }
            catch (SocketException)
            {
                // No way out by this protocol.
            }
        }

        return AddressOfInterface() ?? IPAddress.Loopback;
    }

    private static IPAddress? AddressOfInterface()
    {
        try
        {
            return NetworkInterface.GetAllNetworkInterfaces()
                .Where(card => card.OperationalStatus == OperationalStatus.Up)
                .SelectMany(card => card.GetIPProperties().UnicastAddresses, (_, unicast) => unicast.Address)
                .Where(IsOfUse).OrderBy(address => address.AddressFamily == AddressFamily.InterNetworkV6).FirstOrDefault();
        }
        catch (NetworkInformationException)
        {
            return null;
        }
    }

    private static bool IsOfUse(IPAddress address) =>
        !IPAddress.IsLoopback(address) && !address.IsIPv6LinkLocal && !address.Equals(IPAddress.Any) && !address.Equals(IPAddress.IPv6Any);
}
