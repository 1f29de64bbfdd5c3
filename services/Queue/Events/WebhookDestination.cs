using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Queue.Events;

/// <summary>
/// Posts events to a page, each post signed. The page is the operator's own choice, so that it may be at any address; its certificate has to be good, it leads
/// nowhere else, and nothing of its answer but the status is read. 2xx: it has them all; whatever else: it has none.
/// </summary>
internal sealed class WebhookDestination : IEventDestination, IDisposable
{
    /// <summary>A name that leads elsewhere by now is followed within this time.</summary>
    private static readonly TimeSpan s_connectionLife = TimeSpan.FromMinutes(2);

    private readonly WebhookOptions _options;
    private readonly Uri _page;
    private readonly TimeProvider _time;
    private readonly HttpMessageInvoker _client;
    private IReadOnlyList<byte[]> _secrets = [];

    public WebhookDestination(WebhookOptions options, TimeProvider time)
    {
        (_options, _page, _time) = (options, new Uri(options.Url), time);
        _client = new HttpMessageInvoker(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            ActivityHeadersPropagator = null,
            MaxConnectionsPerServer = 1,
            MaxResponseHeadersLength = 16,
            PooledConnectionLifetime = s_connectionLife,
        });
    }

    public async Task<EventsSent> SendAsync(IReadOnlyList<WaitingEvent> events, CancellationToken cancellationToken)
    {
        if (ReadSecrets() is { } unfit)
            return new([], unfit);
        var (id, body, now) = (EventBody.IdOf(events), EventBody.Of(events), _time.GetUtcNow());
        using var request = new HttpRequestMessage(HttpMethod.Post, _page) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.Add("webhook-id", id);
        request.Headers.Add("webhook-timestamp", WebhookSignature.Timestamp(now));
        request.Headers.Add("webhook-signature", WebhookSignature.Of(id, now, body, _secrets));
        using var late = new CancellationTokenSource(_options.Timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        try
        {
            using var response = await _client.SendAsync(request, either.Token);
            return response.IsSuccessStatusCode ? new(events) : new(
                [], $"{_page.Host} answered {(int)response.StatusCode}", response.StatusCode == HttpStatusCode.RequestEntityTooLarge,
                response.Headers.RetryAfter is { } after ? after.Delta ?? (after.Date - now) : null, IsRefusal(response.StatusCode));
        }
        catch (Exception error) when (error is HttpRequestException or IOException or SocketException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return new([], error is OperationCanceledException ? $"{_page.Host} did not answer in time" : PlainText.Line(error.GetBaseException().Message, 200));
        }
    }

    public void Dispose() => _client.Dispose();

    /// <summary>4xx, but for those that say nothing of what was posted: who may post, where, how often, and when.</summary>
    private static bool IsRefusal(HttpStatusCode status) => (int)status is >= 400 and < 500 && status is not (
        HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden or HttpStatusCode.NotFound or HttpStatusCode.MethodNotAllowed or HttpStatusCode.ProxyAuthenticationRequired
        or HttpStatusCode.RequestTimeout or HttpStatusCode.Gone or HttpStatusCode.MisdirectedRequest or (HttpStatusCode)425 or HttpStatusCode.TooManyRequests);

    /// <summary>Null: they can be used. A file that cannot be used keeps those that were read before.</summary>
    private string? ReadSecrets()
    {
        if (_options.SecretFile.Length == 0 && _secrets.Count > 0)
            return null;
        try
        {
            _secrets = WebhookSecret.Read(_options);
        }
        catch (Exception unfit) when (unfit is FormatException or IOException or UnauthorizedAccessException)
        {
            return _secrets.Count > 0 ? null : $"{nameof(WebhookOptions.SecretFile)} '{_options.SecretFile}' cannot be used: {unfit.Message}";
        }

        return null;
    }
}
