using System.Net;
using MailPipeline.ServiceDefaults;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace MailPipeline.LineServer;

/// <summary>
/// Connections that come through a load balancer are those of the client that it names. Only listed sources are believed, and
/// from them the header is required: without it a stranger could pass for any other.
/// </summary>
public static partial class ProxyProtocol
{
    // It is the first thing that is sent, before the client has said anything.
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    /// <param name="from">Addresses and networks (CIDR) of the balancers; none: every connection is its client's own.</param>
    public static void UseProxyProtocol(this ListenOptions listen, IReadOnlyCollection<string> from)
    {
        if (from.Count == 0)
            return;
        var balancers = new ClientNetworks(from);
        var time = listen.ApplicationServices.GetRequiredService<TimeProvider>();
        var log = listen.ApplicationServices.GetRequiredService<ILoggerFactory>().CreateLogger("MailPipeline.LineServer");
        listen.Use(next => async connection =>
        {
            if (connection.RemoteEndPoint is IPEndPoint balancer && balancers.Contains(HostAddress.Plain(balancer.Address)))
            {
                if (!await IntroduceAsync(connection, time))
                {
                    LogNotIntroduced(log, balancer);
                    connection.Abort(new ConnectionAbortedException("No PROXY header"));
                    return;
                }
            }
            await next(connection);
        });
    }

    private static async Task<bool> IntroduceAsync(ConnectionContext connection, TimeProvider time)
    {
        using var patience = new CancellationTokenSource(s_patience, time);
        try
        {
            while (true)
            {
                var result = await connection.Transport.Input.ReadAsync(patience.Token);
                var status = ProxyHeader.TryRead(result.Buffer, out var consumed, out var client);
                connection.Transport.Input.AdvanceTo(consumed, status == ProxyHeaderStatus.Complete ? consumed : result.Buffer.End);
                if (status == ProxyHeaderStatus.Complete)
                {
                    if (client is not null)
                        connection.RemoteEndPoint = client;
                    return true;
                }
                if (status == ProxyHeaderStatus.Invalid || result.IsCompleted)
                    return false;
            }
        }
        catch (Exception gone) when (gone is OperationCanceledException or IOException or ConnectionResetException)
        {
            return false;
        }
    }

    [LoggerMessage(8001, LogLevel.Warning, "{RemoteEndPoint} is a load balancer by the settings and sent no PROXY header; its connection is closed")]
    private static partial void LogNotIntroduced(ILogger log, IPEndPoint remoteEndPoint);
}
