using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// Tells an address from a name. <see cref="IPAddress.TryParse(string, out IPAddress)"/> takes "1", "127.1", "0x7f.1" and "[::1]:25" too:
/// what is meant as a name would lead to an address that nobody wrote.
/// </summary>
public static class HostAddress
{
    /// <summary>Four decimal octets, or IPv6 without brackets and port.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out IPAddress? address) =>
#pragma warning disable RS0030 // Here is what the others are to take.
        IPAddress.TryParse(text, out address)
        && (address.AddressFamily == AddressFamily.InterNetworkV6 ? !text!.Contains('[', StringComparison.Ordinal) : address.ToString() == text);
#pragma warning restore RS0030
}
