using System.IO.Pipelines;
using System.Net;
using System.Text.Json;
using MailPipeline.LineServer;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Filters;

/// <summary>
/// Rspamd in one session, by its HTTP protocol: nothing is asked before the content; that is handed on while it comes, and its end is the
/// question. The answer is an action, by the thresholds of Rspamd's own settings.
/// </summary>
internal sealed partial class RspamdFilter(FilterOptions options, HttpClient http, IngressTelemetry telemetry, TimeProvider time, ILogger log) : IFilter
{
    private readonly FilterPatience _patience = new(options.MaxTime, time);
    private FilteredClient? _client;
    private string _greeting = "";
    private string _sender = "";
    private string? _user;
    private Pipe? _content;
    private CancellationTokenSource? _end;
    private Task<HttpResponseMessage>? _asked;
    private FilterAnswer? _away;

    public string Name => options.Name;

    public ValueTask<FilterAnswer> ConnectAsync(FilteredClient client)
    {
        _client = client;
        return new(FilterAnswer.GoOn);
    }

    public ValueTask<FilterAnswer> HelloAsync(string greeting, TlsParameters? tls)
    {
        _greeting = greeting;
        return new(FilterAnswer.GoOn);
    }

    public ValueTask<FilterAnswer> SenderAsync(FilteredSender sender)
    {
        (_sender, _user, _away) = (sender.Address?.Text ?? "", sender.User, null);
        Abandon();
        return new(FilterAnswer.GoOn);
    }

    public ValueTask<FilterAnswer> RecipientAsync(SmtpAddress recipient) => new(FilterAnswer.GoOn);

    public ValueTask BeginContentAsync(string messageId, IReadOnlyList<SmtpAddress> recipients)
    {
        Abandon();
        _away = null;
        _patience.Begin();
        _content = new Pipe();
        _end = new CancellationTokenSource();
        var request = new HttpRequestMessage(HttpMethod.Post, new Uri(new Uri(options.Address), "checkv2"))
        {
            Content = new StreamContent(_content.Reader.AsStream()),
            Version = HttpVersion.Version11,
        };
        request.Headers.TransferEncodingChunked = true;
        Add("Queue-Id", messageId);
        Add("From", _sender);
        Add("Helo", _greeting);
        Add("IP", _client?.EndPoint?.Address.ToString() ?? "");
        Add("Hostname", _client?.HostName ?? "");
        Add("User", _user ?? "");
        Add("MTA-Name", _client?.Local ?? "");
        foreach (var recipient in recipients)
            Add("Rcpt", recipient.Text);
        _asked = http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, _end.Token);
        return ValueTask.CompletedTask;

        void Add(string name, string value)
        {
            if (value.Length > 0)
                request.Headers.TryAddWithoutValidation(name, PlainText.Ascii(value));
        }
    }

    public async ValueTask ContentAsync(ReadOnlyMemory<byte> content)
    {
        if (_content is null || _away is not null)
            return;
        try
        {
            using var patience = _patience.For(options.Timeout);
            // A reader that has gone says so.
            await _content.Writer.WriteAsync(content, patience.Token);
        }
        catch (Exception gone) when (IsAwayBy(gone))
        {
            Away(gone);
        }
    }

    public async ValueTask<FilterAnswer> EndAsync(FilterChanges changes)
    {
        if (_away is { } said || _content is null)
            return _away ?? FilterAnswer.GoOn;
        try
        {
            await _content.Writer.CompleteAsync();
            using var patience = _patience.For(options.MessageTimeout);
            using var response = await _asked!.WaitAsync(patience.Token);
            if (response.StatusCode != HttpStatusCode.OK)
                throw new HttpRequestException($"it answers {(int)response.StatusCode}");
            await response.Content.LoadIntoBufferAsync(RspamdReply.MaxBytes, patience.Token);
            var before = changes.PassedOver;
            var draft = changes.Draft();
            var answer = RspamdReply.Read(await response.Content.ReadAsByteArrayAsync(patience.Token), options.Name, options.ChangesHeaders, draft);
            changes.Take(draft);
            if (changes.PassedOver > before)
                LogPassedOver(log, options.Name, changes.PassedOver - before);
            telemetry.FilterAnswered(options.Name, answer.Name);
            return answer;
        }
        catch (Exception gone) when (IsAwayBy(gone))
        {
            return Away(gone);
        }
        finally
        {
            Abandon();
        }
    }

    public ValueTask DisposeAsync()
    {
        Abandon();
        return ValueTask.CompletedTask;
    }

    private static bool IsAwayBy(Exception gone) =>
        gone is HttpRequestException or IOException or OperationCanceledException or JsonException or MilterFaultException or InvalidOperationException;

    private FilterAnswer Away(Exception gone)
    {
        telemetry.FilterAway(options.Name, gone is JsonException or MilterFaultException ? "garbage" : gone is OperationCanceledException ? "timed_out" : "away");
        LogAway(log, options.Name, gone is OperationCanceledException ? "it did not answer in time" : gone.Message);
        return _away = options.WhenAway == FilterAwayPolicy.Defer ? FilterAnswer.Refusing(Replies.C451FilterAway) : FilterAnswer.GoOn;
    }

    /// <summary>Nobody waits for the answer any more.</summary>
    private void Abandon()
    {
        _end?.Cancel();
        _content?.Writer.Complete();
        if (_asked is { } asked)
            _ = ForgetAsync(asked);
        _end?.Dispose();
        (_content, _end, _asked) = (null, null, null);
    }

    private static async Task ForgetAsync(Task<HttpResponseMessage> asked)
    {
        try
        {
            (await asked).Dispose();
        }
        catch (Exception gone) when (IsAwayBy(gone))
        {
            // Nobody wants to know.
        }
    }

    [LoggerMessage(1073, LogLevel.Warning, "The filter {Filter} wanted {Count} fields that came with a message to be gone; they stay as they came")]
    private static partial void LogPassedOver(ILogger log, string filter, int count);

    [LoggerMessage(1072, LogLevel.Warning, "The filter {Filter} is away for a message: {Reason}")]
    private static partial void LogAway(ILogger log, string filter, string reason);
}
