using System.Globalization;
using System.Net;
using System.Net.Sockets;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Standalone;

/// <summary>
/// Tries every port before anything is started, so that a port in use is one line that names its setting. Orleans needs
/// it besides: it binds its port so that two processes can share it, and their grains would mix without an error.
/// </summary>
internal static class PortCheck
{
    /// <exception cref="StartupException">One of them cannot be had.</exception>
    public static void Run(IConfiguration settings)
    {
        var taken = new Dictionary<(IPAddress, int), string>();
        foreach (var (section, portKey) in Listeners(settings))
        {
            var setting = $"{section.Path}:{portKey}";
            // What is no port or no address is for the section's validator to say.
            if (int.TryParse(section[portKey], NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is > 0 and <= 65535
                && HostAddress.TryParse(section["Address"] ?? "127.0.0.1", out var address))
            {
                if (!taken.TryAdd((address, port), setting))
                    throw new StartupException($"{setting} is {port}, and so is {taken[(address, port)]}; each needs a port of its own");
                Try(setting, $"{section.Path}:Address", address, port);
            }
        }
    }

    private static IEnumerable<(IConfigurationSection Section, string PortKey)> Listeners(IConfiguration settings)
    {
        yield return (settings.GetSection("Http"), "Port");
        yield return (settings.GetSection("Queue"), "SiloPort");
        foreach (var listener in settings.GetSection("Ingress:Listeners").GetChildren().Concat(settings.GetSection("Mailbox:Listeners").GetChildren()))
            yield return (listener, "Port");
    }

    private static void Try(string portSetting, string addressSetting, IPAddress address, int port)
    {
        try
        {
            using var probe = new TcpListener(address, port);
            probe.Start();
        }
        catch (SocketException unavailable)
        {
            throw new StartupException(
                unavailable.SocketErrorCode switch
                {
                    SocketError.AddressAlreadyInUse =>
                        $"{portSetting} is {port}, a port in use by another process; choose a free one (0 to 65535), or move all ports with --port-offset N",
                    SocketError.AccessDenied =>
                        $"{portSetting} is {port}, which this user may not bind; choose a port from 1024 up, or see docs/operations.md",
                    SocketError.AddressNotAvailable =>
                        $"{addressSetting} is {address}, which is not an address of this machine; 127.0.0.1 is, and 0.0.0.0 means all",
                    _ => $"{portSetting} is {port} on {address}, which cannot be bound: {unavailable.Message}",
                },
                unavailable);
        }
    }
}
