using System.Net;
using System.Net.Sockets;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// HTTP to a page that a stranger has chosen: no redirect is followed, no proxy and no cookie is used, the header of the answer has a bound, and no
/// address is spoken to but those that the caller lets it have.
/// </summary>
public static class StrangersPage
{
    private const int MostHeaderKilobytes = 16;

    /// <summary>For one request: a connection that is kept would be one to a stranger.</summary>
    /// <param name="findAsync">Addresses of the page's host that may be spoken to, the best first.</param>
    public static SocketsHttpHandler Handler(Func<DnsEndPoint, CancellationToken, Task<IReadOnlyList<IPEndPoint>>> findAsync) => new()
    {
        AllowAutoRedirect = false,
        UseProxy = false,
        UseCookies = false,
        ActivityHeadersPropagator = null,
        MaxResponseHeadersLength = MostHeaderKilobytes,
        ConnectCallback = async (context, cancellation) =>
            await ConnectAsync(context.DnsEndPoint.Host, await findAsync(context.DnsEndPoint, cancellation), cancellation),
    };

    private static async Task<Stream> ConnectAsync(string host, IReadOnlyList<IPEndPoint> found, CancellationToken cancellation)
    {
        Exception failure = new IOException($"{host} has no address that can be used");
        foreach (var endPoint in found)
        {
            var socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                await socket.ConnectAsync(endPoint, cancellation);
                return new NetworkStream(socket, ownsSocket: true);
            }
            catch (SocketException error)
            {
                socket.Dispose();
                failure = error;
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        }

        throw failure;
    }
}
