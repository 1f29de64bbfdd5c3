using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;

namespace MailPipeline.MtaSts;

/// <summary>What came of asking for a policy.</summary>
/// <param name="Policy">Null: none came that counts.</param>
/// <param name="Result">Of the failure, in the words of reports (RFC 8460 §4.3.2.2); empty for success.</param>
/// <param name="Error">Why none came.</param>
/// <param name="IsUnanswered">Nobody answered whether there is one: DNS failed, no connection came about, or the time was over.</param>
public readonly record struct StsFetched(StsPolicy? Policy, string Result = "", string Error = "", bool IsUnanswered = false);

/// <summary>
/// Fetches the policy of a domain (RFC 8461 §3.3): by HTTPS from "mta-sts." and the domain, whose certificate has to be good; redirects are not followed,
/// and more than 64 KiB, or what takes longer than a moment, is no policy.
/// </summary>
/// <param name="timeout">Of one fetch, the wait for its turn included.</param>
public sealed class StsFetch(IPolicyHosts hosts, TrustedRoots roots, TimeSpan timeout, TimeProvider time) : IDisposable
{
    /// <summary>RFC 8461 §3.3 names this bound.</summary>
    internal const int MostBytes = 64 * 1024;

    /// <summary>Fetches under way at once; others wait for their turn, and their time runs.</summary>
    private const int MostAtOnce = 50;

    private const string Path = "/.well-known/mta-sts.txt";

    /// <summary>Where the policy of a domain is (RFC 8461 §3.3).</summary>
    public static Uri PageOf(string domain) => new UriBuilder(Uri.UriSchemeHttps, HostOf(domain)) { Path = Path }.Uri;

    /// <summary>The host that has it.</summary>
    public static string HostOf(string domain) => $"mta-sts.{domain}";

    /// <summary>What failed is said of the certificate where that is what failed.</summary>
    private const string BadCertificate = "sts-webpki-invalid";

    private const string NotFetched = "sts-policy-fetch-error";

    private readonly SemaphoreSlim _turns = new(MostAtOnce);

    public async Task<StsFetched> FetchAsync(string domain, string id)
    {
        using var late = new CancellationTokenSource(timeout, time);
        try
        {
            await _turns.WaitAsync(late.Token);
        }
        catch (OperationCanceledException)
        {
            return new(null, NotFetched, "too many policies are being fetched", IsUnanswered: true);
        }

        try
        {
            var (text, error) = await ReadAsync(HostOf(domain), PageOf(domain), late.Token);
            if (text is null)
                return new(null, NotFetched, error);
            return StsPolicy.TryParse(text, id, out var policy, out error) ? new(policy) : new(null, "sts-policy-invalid", error);
        }
        catch (Exception failure) when (failure is HttpRequestException or IOException or SocketException or AuthenticationException or OperationCanceledException or UriFormatException)
        {
            var isCertificate = failure is AuthenticationException || failure.InnerException is AuthenticationException;
            return new(
                null, isCertificate ? BadCertificate : NotFetched,
                failure is OperationCanceledException ? $"no answer within {timeout.TotalSeconds} s" : PlainText.Line(failure.GetBaseException().Message, 200),
                failure is OperationCanceledException || failure.GetBaseException() is SocketException);
        }
        finally
        {
            _turns.Release();
        }
    }

    public void Dispose() => _turns.Dispose();

    private async Task<(string? Text, string Error)> ReadAsync(string host, Uri page, CancellationToken cancellation)
    {
        // Which addresses may be asked is for the hosts' own look-up to say: a server goes to none that a stranger has no business to lead it to.
        using var handler = StrangersPage.Handler((asked, given) => hosts.FindAsync(asked.Host).WaitAsync(given));
        handler.SslOptions = new SslClientAuthenticationOptions
        {
            CertificateChainPolicy = TrustedRoots.ChainPolicy(),
            RemoteCertificateValidationCallback = (_, certificate, chain, errors) => IsGood(host, certificate, chain, errors),
        };
        using var client = new HttpMessageInvoker(handler);
        using var request = new HttpRequestMessage(HttpMethod.Get, page);
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/plain"));
        using var response = await client.SendAsync(request, cancellation);
        // RFC 8461 §3.3: any other answer, a redirect too, is none.
        if (response.StatusCode != HttpStatusCode.OK)
            return (null, $"{host} answered {(int)response.StatusCode}");
        if (!"text/plain".Equals(response.Content.Headers.ContentType?.MediaType, StringComparison.OrdinalIgnoreCase))
            return (null, $"{host} sent what is not text/plain");
        if (response.Content.Headers.ContentLength > MostBytes)
            return (null, $"{host} sent more than {MostBytes} octets");
        var buffer = new byte[MostBytes + 1];
        await using var body = await response.Content.ReadAsStreamAsync(cancellation);
        var length = await body.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellation);
        return length > MostBytes ? (null, $"{host} sent more than {MostBytes} octets") : (Encoding.Latin1.GetString(buffer, 0, length), "");
    }

    /// <summary>RFC 8461 §3.3: by a subjectAltName, which a common name does not stand for.</summary>
    private bool IsGood(string host, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (certificate is not X509Certificate2 shown || (errors & ~SslPolicyErrors.RemoteCertificateChainErrors) != SslPolicyErrors.None
            || !shown.MatchesHostname(host, allowWildcards: true, allowCommonName: false))
        {
            return false;
        }

        using var again = errors == SslPolicyErrors.None ? null : roots.Rebuild(shown, chain);
        return errors == SslPolicyErrors.None || again is { ChainStatus.Length: 0 };
    }
}
