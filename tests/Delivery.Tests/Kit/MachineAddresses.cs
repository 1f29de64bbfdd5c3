using System.Net.NetworkInformation;
using System.Net.Sockets;

namespace MailPipeline.Delivery.Tests;

/// <summary>Addresses of this machine, and others that are not, whatever its interfaces have: documentation networks are in use on some.</summary>
internal static class MachineAddresses
{
    // RFC 5737, without the one of which tests declare addresses to be theirs.
    private static readonly string[] s_networks = ["198.51.100.", "192.0.2."];

    /// <summary>Of all interfaces.</summary>
    public static IReadOnlyList<string> All { get; } =
    [
        .. NetworkInterface.GetAllNetworkInterfaces()
            .SelectMany(adapter => adapter.GetIPProperties().UnicastAddresses)
            .Select(found => found.Address.ToString().Split('%')[0]),
    ];

    /// <summary>An IPv4 address of this machine.</summary>
    public static string First { get; } = All.First(address => System.Net.IPAddress.Parse(address).AddressFamily == AddressFamily.InterNetwork);

    /// <summary>An address of some other machine, one for each number.</summary>
    public static string Other(byte number) =>
        s_networks.First(network => !All.Any(address => address.StartsWith(network, StringComparison.Ordinal))) + number;
}
