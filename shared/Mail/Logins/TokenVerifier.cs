using System.Text.Json;
using Microsoft.Extensions.Logging;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace MailPipeline.Mail;

/// <summary>What a token says.</summary>
/// <param name="UserName">Of whom; empty where it is not taken.</param>
/// <param name="Refusal">Why it is not taken, in words for the log; null: it is.</param>
/// <param name="IsForged">The issuer has not signed it.</param>
internal readonly record struct TokenLook(string UserName, string? Refusal = null, bool IsForged = false)
{
    /// <summary>Nobody can say now: the issuer's keys cannot be had.</summary>
    public bool IsUnknown { get; private init; }

    internal static TokenLook Unknown => new("") { IsUnknown = true };

    internal static TokenLook Forged(string reason) => new("", reason, IsForged: true);

    internal static TokenLook Refused(string reason) => new("", reason);
}

/// <summary>
/// Says of a signed token (JWT, RFC 7519; RFC 9068) whether the issuer made it, for us, for now, and for whom. Nothing of a token is ever part
/// of what it says, but for the name of a user that the issuer has signed.
/// </summary>
internal sealed class TokenVerifier : IDisposable
{
    /// <summary>Neither "none" nor one with a shared secret, for which the public key of an issuer would do (RFC 8725 §2.1, §3.1).</summary>
    private static readonly string[] s_algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"];

    private readonly OpenIdOptions _options;
    private readonly TimeProvider _time;
    private readonly OpenIdKeys _keys;
    private readonly JsonWebTokenHandler _handler = new() { MapInboundClaims = false };

    public TokenVerifier(OpenIdOptions options, TimeProvider time, ILogger<TokenVerifier> log)
    {
        (_options, _time) = (options, time);
        _keys = new OpenIdKeys(options, time, log);
    }

    /// <exception cref="OperationCanceledException">The client has left.</exception>
    public async ValueTask<TokenLook> LookAsync(string token, CancellationToken left)
    {
        if (Read(token) is not { } jwt)
            return TokenLook.Forged("no signed token");
        if (!s_algorithms.Contains(jwt.Alg))
            return TokenLook.Forged("signed by an algorithm that is not taken");
        // RFC 7515 §4.1.11: what a token says must be understood is not.
        if (jwt.TryGetHeaderValue<object>("crit", out _))
            return TokenLook.Forged("of a form that is not taken");
        // Whoever signed it: for such a token nobody asks the issuer.
        if (jwt.Issuer != _options.Issuer)
            return TokenLook.Forged("of another issuer");
        if (await _keys.FindAsync(left) is not { } keys)
            return TokenLook.Unknown;
        var look = await JudgeAsync(jwt, keys);
        if (!look.IsForged)
            return look;
        // The issuer may have another key since.
        return await _keys.FindNewerAsync(keys, left) is not { } newer ? TokenLook.Unknown
            : newer == keys ? look
            : await JudgeAsync(jwt, newer);
    }

    /// <summary>Whom a token names, whoever has made it; empty where it names nobody.</summary>
    public string NameIn(string token) => Read(token) is { } jwt && Payload(jwt) is { } payload ? Text(payload, _options.AccountClaim) ?? "" : "";

    public void Dispose() => _keys.Dispose();

    private static JsonWebToken? Read(string token)
    {
        try
        {
            var jwt = new JsonWebToken(token);
            // What has five parts is encrypted, and what has no third is signed by nobody.
            return jwt.IsEncrypted || !jwt.IsSigned ? null : jwt;
        }
        catch (Exception unreadable) when (IsUnreadable(unreadable))
        {
            return null;
        }
    }

    private async Task<TokenLook> JudgeAsync(JsonWebToken jwt, IssuerKeys keys)
    {
        TokenValidationResult result;
        try
        {
            result = await _handler.ValidateTokenAsync(jwt, ParametersFor(jwt, keys));
        }
        catch (Exception unreadable) when (IsUnreadable(unreadable))
        {
            return TokenLook.Forged("no signed token");
        }

        // The signature is looked at first: what else is wrong was signed by the issuer.
        return result.Exception switch
        {
            null => JudgeClaims(jwt),
            SecurityTokenInvalidAudienceException => TokenLook.Refused("for another audience"),
            SecurityTokenInvalidLifetimeException or SecurityTokenNoExpirationException => TokenLook.Refused("expired, or not valid yet"),
            _ => TokenLook.Forged("signed by no key of the issuer"),
        };
    }

    private TokenValidationParameters ParametersFor(JsonWebToken jwt, IssuerKeys keys) => new()
    {
        ValidIssuer = _options.Issuer,
        ValidAudiences = _options.Audiences,
        ValidAlgorithms = s_algorithms,
        // RFC 7515 §4.1.4: the key that the token names; any, where it names none.
        IssuerSigningKeys = string.IsNullOrEmpty(jwt.Kid) ? keys.Keys : keys.Keys.Where(key => key.KeyId == jwt.Kid),
        TryAllIssuerSigningKeys = string.IsNullOrEmpty(jwt.Kid),
        LifetimeValidator = (notBefore, expires, _, _) => IsNow(notBefore, expires),
    };

    // RFC 7519 §4.1.4, §4.1.5
    private bool IsNow(DateTime? notBefore, DateTime? expires)
    {
        var now = _time.GetUtcNow().UtcDateTime;
        return expires is { } end && now < Later(end) && (notBefore is not { } begin || begin <= Later(now));
    }

    private DateTime Later(DateTime time) => time > DateTime.MaxValue - _options.ClockTolerance ? DateTime.MaxValue : time + _options.ClockTolerance;

    private TokenLook JudgeClaims(JsonWebToken jwt)
    {
        if (Payload(jwt) is not { } payload || Text(payload, _options.AccountClaim) is not { Length: > 0 } name)
            return TokenLook.Refused($"without the claim {_options.AccountClaim}");
        // OpenID Connect Core 1.0 §5.1; some issuers write it as text.
        if (_options is { AccountClaim: OpenIdOptions.Email, RequireVerifiedEmail: true }
            && !(payload.TryGetProperty("email_verified", out var verified) && (verified.ValueKind == JsonValueKind.True || TextOf(verified) == "true")))
        {
            return TokenLook.Refused("of an address that the issuer has not verified");
        }

        return _options.RequiredScope.Length == 0 || Scopes(payload, "scope").Concat(Scopes(payload, "scp")).Contains(_options.RequiredScope)
            ? new TokenLook(name)
            : TokenLook.Refused($"without the scope {_options.RequiredScope}");
    }

    /// <summary>With a space between them (RFC 9068 §2.2.3), or as a list.</summary>
    private static IEnumerable<string> Scopes(JsonElement payload, string claim)
    {
        if (!payload.TryGetProperty(claim, out var scopes))
            return [];
        return scopes.ValueKind == JsonValueKind.Array ? scopes.EnumerateArray().Select(TextOf).OfType<string>() : TextOf(scopes)?.Split(' ') ?? [];
    }

    private static JsonElement? Payload(JsonWebToken jwt)
    {
        try
        {
            using var document = JsonDocument.Parse(Base64UrlEncoder.DecodeBytes(jwt.EncodedPayload));
            return document.RootElement.ValueKind == JsonValueKind.Object ? document.RootElement.Clone() : null;
        }
        catch (Exception unreadable) when (IsUnreadable(unreadable))
        {
            return null;
        }
    }

    private static string? Text(JsonElement payload, string claim) => payload.TryGetProperty(claim, out var value) ? TextOf(value) : null;

    private static string? TextOf(JsonElement value)
    {
        try
        {
            return value.ValueKind == JsonValueKind.String ? value.GetString() : null;
        }
        // Half a pair of surrogates, escaped.
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>What readers of tokens throw at what is none.</summary>
    private static bool IsUnreadable(Exception thrown) =>
        thrown is ArgumentException or FormatException or JsonException or InvalidOperationException or SecurityTokenException or OverflowException;
}
