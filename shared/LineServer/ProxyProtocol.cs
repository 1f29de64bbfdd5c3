using System.Net.Sockets;

namespace MailPipeline.LineServer;

/// <summary>
/// Connections that come through a load balancer are those of the client that it names. Only listed sources are believed, and
/// from them the header is required: without it a stranger could pass for any other.
/// </summary>
internal static class ProxyProtocol
{
    // It is the first thing that is sent, before the client has said anything.
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    /// <summary>Reads the header and names the client; false when none comes, or none that can be read.</summary>
    public static async Task<bool> IntroduceAsync(LineConnection connection, TimeProvider time)
    {
        var end = WaitEnd.In(time, s_patience);
        try
        {
            while (true)
            {
                var result = await connection.ReadAsync(end);
                // Time is up.
                if (result.IsCanceled)
                    return false;
                var status = ProxyHeader.TryRead(result.Buffer, out var consumed, out var client);
                connection.AdvanceTo(consumed, status == ProxyHeaderStatus.Complete ? consumed : result.Buffer.End);
                if (status == ProxyHeaderStatus.Complete)
                {
                    connection.NameClient(client);
                    return true;
                }
                if (status == ProxyHeaderStatus.Invalid || result.IsCompleted)
                    return false;
            }
        }
        catch (Exception gone) when (gone is OperationCanceledException or IOException or SocketException)
        {
            return false;
        }
    }
}
