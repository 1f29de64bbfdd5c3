using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Logging;
using Microsoft.IdentityModel.Protocols;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;

namespace MailPipeline.Mail;

/// <summary>The keys of an issuer as they were at one time.</summary>
internal sealed record IssuerKeys(IReadOnlyList<SecurityKey> Keys, long At);

/// <summary>
/// The keys by which an issuer signs, fetched when the first token comes and then now and again. One fetch at a time, in which all share who
/// wait for it, and a pause behind each: neither an issuer that is away nor clients that name keys that there are not make more of them. The
/// library's ConfigurationManager would let those who wait try one after the other, and has a clock of its own.
/// </summary>
internal sealed partial class OpenIdKeys : IDisposable
{
    /// <summary>Of the metadata, and of the keys: issuers' are some KB.</summary>
    internal const int MaxDocumentBytes = 256 * 1024;

    /// <summary>Keys that are looked at: issuers have two to a dozen.</summary>
    internal const int MaxKeys = 64;

    // RFC 7518 §3.3
    private const int LeastRsaBits = 2048;

    /// <summary>From the end of a fetch to the next.</summary>
    internal static readonly TimeSpan Pause = TimeSpan.FromSeconds(10);

    /// <summary>Keys are believed so long while the issuer is away.</summary>
    internal static readonly TimeSpan LongestTrust = TimeSpan.FromDays(1);

    private readonly OpenIdOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly HttpClient _http;
    private readonly Lock _lock = new();
    private IssuerKeys? _keys;
    private Task<IssuerKeys?> _fetch = Task.FromResult<IssuerKeys?>(null);
    private long? _endedAt;

    public OpenIdKeys(OpenIdOptions options, TimeProvider time, ILogger log)
    {
        (_options, _time, _log) = (options, time, log);
        // An issuer is where its address says, and nowhere else.
        var handler = new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false, PooledConnectionLifetime = TimeSpan.FromMinutes(5) };
        _http = new HttpClient(handler) { MaxResponseContentBufferSize = MaxDocumentBytes, Timeout = Timeout.InfiniteTimeSpan };
    }

    /// <summary>Null: they cannot be had now.</summary>
    /// <exception cref="OperationCanceledException">The client has left.</exception>
    public async ValueTask<IssuerKeys?> FindAsync(CancellationToken left)
    {
        Task<IssuerKeys?> fetch;
        lock (_lock)
        {
            if (_keys is { } keys && _time.GetElapsedTime(keys.At) < LongestTrust)
            {
                if (_time.GetElapsedTime(keys.At) >= _options.KeyRefreshInterval)
                    _ = FetchLocked();
                return keys;
            }

            fetch = FetchLocked();
        }

        return await fetch.WaitAsync(left);
    }

    /// <summary>The keys that the issuer has now, where these are not all; the same, where they were fetched a moment ago. Null: they cannot be had now.</summary>
    /// <exception cref="OperationCanceledException">The client has left.</exception>
    public async ValueTask<IssuerKeys?> FindNewerAsync(IssuerKeys known, CancellationToken left)
    {
        Task<IssuerKeys?> fetch;
        lock (_lock)
        {
            if (_keys is { } keys && keys != known)
                return keys;
            fetch = FetchLocked();
        }

        return await fetch.WaitAsync(left);
    }

    public void Dispose() => _http.Dispose();

    /// <summary>The fetch that is under way, or the last one if that has only just ended, or a new one.</summary>
    private Task<IssuerKeys?> FetchLocked()
    {
        if (_fetch.IsCompleted && (_endedAt is not { } ended || _time.GetElapsedTime(ended) >= Pause))
            _fetch = Task.Run(FetchAsync);
        return _fetch;
    }

    private async Task<IssuerKeys?> FetchAsync()
    {
        using var deadline = new CancellationTokenSource(_options.FetchTimeout, _time);
        IssuerKeys? keys = null;
        try
        {
            var metadata = await OpenIdConnectConfigurationRetriever.GetAsync(
                _options.ConfigurationAddress, new Documents(_http, _options), deadline.Token);
            // OpenID Connect Discovery 1.0 §4.3
            if (metadata.Issuer != _options.Issuer)
                throw new InvalidDataException($"the metadata are of another issuer, {LogText.Address(metadata.Issuer ?? "")}");
            keys = new IssuerKeys([.. metadata.SigningKeys.Where(IsTaken).Take(MaxKeys)], _time.GetTimestamp());
            // Those that are known are better than none.
            if (keys.Keys.Count == 0)
                throw new InvalidDataException("there is no key among them that is taken");
            LogFetched(_log, _options.Issuer, keys.Keys.Count);
        }
        // What an issuer sends may make its readers throw anything; whatever it is, there are no keys now.
        catch (Exception failure)
        {
            keys = null;
            LogAway(_log, _options.Issuer, deadline.IsCancellationRequested ? $"no answer within {_options.FetchTimeout.TotalSeconds:0.#} s" : Innermost(failure));
        }

        lock (_lock)
        {
            _endedAt = _time.GetTimestamp();
            _keys = keys ?? _keys;
        }

        return keys;
    }

    /// <summary>Never one whose public part would be the secret of a symmetric algorithm.</summary>
    private static bool IsTaken(SecurityKey key) => key is AsymmetricSecurityKey && (key is ECDsaSecurityKey || key.KeySize >= LeastRsaBits);

    private static string Innermost(Exception failure) => failure.GetBaseException().Message;

    /// <summary>What the issuer has, by https, within the bounds.</summary>
    private sealed class Documents(HttpClient http, OpenIdOptions options) : IDocumentRetriever
    {
        public async Task<string> GetDocumentAsync(string address, CancellationToken cancel) => options.MayFetch(address)
            ? await http.GetStringAsync(new Uri(address), cancel)
            : throw new InvalidDataException($"{address} is no address by https");
    }

    [LoggerMessage(9001, LogLevel.Warning, "The keys of the OpenID issuer {Issuer} cannot be had: {Reason}. Clients with a token are told to come later where no older keys are there")]
    private static partial void LogAway(ILogger log, string issuer, string reason);

    [LoggerMessage(9002, LogLevel.Information, "The OpenID issuer {Issuer} has {Count} keys")]
    private static partial void LogFetched(ILogger log, string issuer, int count);
}
