using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace MailPipeline.ServiceDefaults;

/// <summary>A port that a service listens on once it runs, and the settings that say which.</summary>
/// <param name="Address">An IP address; whatever is none is left to the validator of its section.</param>
/// <param name="Port">0 takes a free one.</param>
public sealed record ListeningPort(string PortSetting, string AddressSetting, string Address, int Port);

/// <summary>
/// Tries every port before anything is started, so that a port in use is one line that names its setting. Orleans needs it besides: it
/// binds its port so that two processes can share it, and writes itself into the cluster before it binds; the running process would
/// take itself for one that was replaced, and end.
/// </summary>
public static class PortCheck
{
    /// <summary>Adds ports to those that are tried; asked for when the settings have been checked.</summary>
    public static IServiceCollection AddListeningPorts(this IServiceCollection services, Func<IServiceProvider, IEnumerable<ListeningPort>> ports) =>
        services.AddSingleton(new Source(ports));

    /// <param name="add">Adds the settings, as for <see cref="SettingsHosting.CheckSettings"/>.</param>
    /// <returns>What the service is going to listen on.</returns>
    public static IReadOnlyList<ListeningPort> FindPorts(this IConfiguration configuration, Action<IServiceCollection> add)
    {
        var services = new ServiceCollection();
        services.AddSingleton(configuration);
        add(services);
        using var provider = services.BuildServiceProvider();
        return [.. provider.GetServices<Source>().SelectMany(source => source.Find(provider))];
    }

    /// <param name="ports">What is to be listened on.</param>
    /// <param name="advice">What else the operator may do about a port in use.</param>
    /// <exception cref="StartupException">One of them cannot be had.</exception>
    public static void Run(IEnumerable<ListeningPort> ports, string advice = "")
    {
        var taken = new Dictionary<(IPAddress, int), string>();
        foreach (var port in ports)
        {
            if (port.Port == 0 || !HostAddress.TryParse(port.Address, out var address))
                continue;
            if (!taken.TryAdd((address, port.Port), port.PortSetting))
                throw new StartupException($"{port.PortSetting} is {port.Port}, and so is {taken[(address, port.Port)]}; each needs a port of its own");
            Try(port, address, advice);
        }
    }

    private static void Try(ListeningPort wanted, IPAddress address, string advice)
    {
        try
        {
            using var probe = new TcpListener(address, wanted.Port);
            probe.Start();
        }
        catch (SocketException unavailable)
        {
            throw new StartupException(
                unavailable.SocketErrorCode switch
                {
                    SocketError.AddressAlreadyInUse =>
                        $"{wanted.PortSetting} is {wanted.Port}, a port in use by another process; choose a free one (0 to 65535){advice}",
                    SocketError.AccessDenied =>
                        $"{wanted.PortSetting} is {wanted.Port}, which this user may not bind; choose a port from 1024 up, or see docs/operations.md",
                    SocketError.AddressNotAvailable =>
                        $"{wanted.AddressSetting} is {address}, which is not an address of this machine; 127.0.0.1 is, and 0.0.0.0 means all",
                    _ => $"{wanted.PortSetting} is {wanted.Port} on {address}, which cannot be bound: {unavailable.Message}",
                },
                unavailable);
        }
    }

    private sealed record Source(Func<IServiceProvider, IEnumerable<ListeningPort>> Find);
}
