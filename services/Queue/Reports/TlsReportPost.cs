using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using MailPipeline.Dns;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;

namespace MailPipeline.Queue.Reports;

/// <summary>
/// Hands a report about TLS to a page of the domain (RFC 8460 §5.4). The page is a stranger's choice: redirects are not followed, nothing of the answer but its
/// status is read, and no address of this machine or of a private network is spoken to.
/// </summary>
internal sealed class TlsReportPost(IDnsLookup dns, TimeProvider time)
{
    internal static readonly TimeSpan Longest = TimeSpan.FromSeconds(30);

    private const int MostAddresses = 4;

    private static readonly IPNetwork[] s_ours =
    [
        .. new[]
        {
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3", "::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16",
            "fc00::/7", "fe80::/10", "ff00::/8",
        }.Select(text => IPNetwork.Parse(text)),
    ];

    /// <summary>Null: the page has taken it. Otherwise why not.</summary>
    public async Task<string?> SendAsync(Uri page, byte[] report, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(Longest, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        using var handler = StrangersPage.Handler(FindAsync);
        using var client = new HttpMessageInvoker(handler);
        using var request = new HttpRequestMessage(HttpMethod.Post, page) { Content = new ByteArrayContent(report) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/tlsrpt+gzip");
        try
        {
            using var response = await client.SendAsync(request, either.Token);
            return response.IsSuccessStatusCode ? null : $"{page.Host} answered {(int)response.StatusCode}";
        }
        catch (Exception error) when (error is HttpRequestException or IOException or SocketException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return error is OperationCanceledException ? $"{page.Host} did not answer in time" : PlainText.Line(error.GetBaseException().Message, 200);
        }
    }

    internal static bool IsOpen(IPAddress address) => !s_ours.Any(network => network.Contains(address));

    private async Task<IReadOnlyList<IPEndPoint>> FindAsync(DnsEndPoint page, CancellationToken cancellation)
    {
        IReadOnlyList<IPAddress> found = HostAddress.TryParse(page.Host, out var literal)
            ? [literal]
            : [.. (await dns.IPv4Async(page.Host, cancellation)).Records, .. (await dns.IPv6Async(page.Host, cancellation)).Records];
        return [.. found.Where(IsOpen).Take(MostAddresses).Select(address => new IPEndPoint(address, page.Port))];
    }
}
