using System.Net;
using MailPipeline.LineServer;
using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Filters;

/// <summary>What all filters of a listener say of a step, or of a message.</summary>
/// <param name="Answer">The first that does not let it go on; else that all do.</param>
/// <param name="Filter">Whose answer it is.</param>
internal readonly record struct FiltersAnswer(FilterAnswer Answer, string Filter = "")
{
    public static readonly FiltersAnswer GoOn = new(FilterAnswer.GoOn);
}

/// <summary>The filters of one session, asked in their order; those behind one that refuses are not asked about that step.</summary>
/// <param name="listener">Its name, as people call it.</param>
/// <param name="changeHeaders">One of them may change fields that came with a message.</param>
internal sealed class SessionFilters(IReadOnlyList<IFilter> filters, string listener, bool changeHeaders) : IAsyncDisposable
{
    private bool _isContent;

    /// <summary>The header of a message is to be kept back until they have said what becomes of it.</summary>
    public bool ChangeHeaders => changeHeaders;

    /// <param name="client">Null: nobody knows.</param>
    /// <param name="hostName">Of the client, where somebody said it; else empty.</param>
    /// <param name="local">Our name.</param>
    public ValueTask<FiltersAnswer> ConnectAsync(IPEndPoint? client, string hostName, string local)
    {
        var told = new FilteredClient(client, hostName.Length > 0 ? hostName : client is null ? "localhost" : $"[{client.Address}]", local, listener);
        return AskAsync(filter => filter.ConnectAsync(told));
    }

    public ValueTask<FiltersAnswer> HelloAsync(string greeting, TlsParameters? tls) => AskAsync(filter => filter.HelloAsync(greeting, tls));

    public ValueTask<FiltersAnswer> SenderAsync(FilteredSender sender) => AskAsync(filter => filter.SenderAsync(sender));

    public ValueTask<FiltersAnswer> RecipientAsync(SmtpAddress recipient) => AskAsync(filter => filter.RecipientAsync(recipient));

    public async ValueTask BeginContentAsync(long messageId, IReadOnlyList<SmtpAddress> recipients)
    {
        _isContent = true;
        foreach (var filter in filters)
            await filter.BeginContentAsync(MessageIds.ToText(messageId), recipients);
    }

    public async ValueTask ContentAsync(ReadOnlyMemory<byte> content)
    {
        if (!_isContent)
            return;
        foreach (var filter in filters)
            await filter.ContentAsync(content);
    }

    /// <summary>What becomes of the message; what they want changed of it is in the changes.</summary>
    public async ValueTask<FiltersAnswer> EndAsync(FilterChanges changes)
    {
        if (!_isContent)
            return FiltersAnswer.GoOn;
        _isContent = false;
        foreach (var filter in filters)
        {
            var answer = await filter.EndAsync(changes);
            if (answer.Verdict == FilterVerdict.Refuse)
                return new FiltersAnswer(answer, filter.Name);
            // Nobody is told that his mail was taken while nobody has it: an operator sees what a filter wanted to be gone.
            if (answer.Verdict == FilterVerdict.Discard)
                changes.Hold(filter.Name, "it wants it discarded");
        }

        return FiltersAnswer.GoOn;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var filter in filters)
            await filter.DisposeAsync();
    }

    private async ValueTask<FiltersAnswer> AskAsync(Func<IFilter, ValueTask<FilterAnswer>> ask)
    {
        foreach (var filter in filters)
        {
            if (await ask(filter) is { Verdict: FilterVerdict.Refuse } refused)
                return new FiltersAnswer(refused, filter.Name);
        }

        return FiltersAnswer.GoOn;
    }
}

/// <summary>Makes the filters of sessions, by the settings.</summary>
internal sealed class FilterSet : IDisposable
{
    private readonly IReadOnlyList<FilterOptions> _filters;
    private readonly IngressTelemetry _telemetry;
    private readonly TimeProvider _time;
    private readonly ILogger<FilterSet> _log;
    private readonly Dictionary<FilterOptions, HttpClient> _clients = [];

    public FilterSet(IReadOnlyList<FilterOptions> filters, IngressTelemetry telemetry, TimeProvider time, ILogger<FilterSet> log)
    {
        (_filters, _telemetry, _time, _log) = (filters, telemetry, time, log);
        foreach (var filter in filters.Where(filter => filter.Protocol == FilterProtocol.Rspamd))
        {
            _clients[filter] = new HttpClient(
                new SocketsHttpHandler { ConnectTimeout = filter.ConnectTimeout, UseProxy = false, AllowAutoRedirect = false, MaxResponseHeadersLength = 64 })
            {
                Timeout = Timeout.InfiniteTimeSpan,
            };
        }
    }

    /// <summary>Null: there are none on that listener.</summary>
    /// <param name="name">Of the listener.</param>
    public SessionFilters? Begin(ListenerKinds kind, string name)
    {
        var filters = new List<IFilter>();
        foreach (var filter in _filters)
        {
            if (!filter.Listeners.Has(kind, name))
                continue;
            filters.Add(filter.Protocol == FilterProtocol.Rspamd
                ? new RspamdFilter(filter, _clients[filter], _telemetry, _time, _log) : new MilterFilter(filter, _telemetry, _time, _log));
        }

        return filters.Count == 0 ? null : new SessionFilters(filters, name, _filters.Any(filter => filter.ChangesHeaders && filter.Listeners.Has(kind, name)));
    }

    public void Dispose()
    {
        foreach (var client in _clients.Values)
            client.Dispose();
    }
}
