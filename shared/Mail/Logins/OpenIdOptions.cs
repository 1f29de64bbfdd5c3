using System.ComponentModel.DataAnnotations;
using System.Net;
using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Options;

namespace MailPipeline.Mail;

/// <summary>Logins by tokens of an OpenID Connect issuer (OAUTHBEARER, RFC 7628; XOAUTH2). Group "Logins:OpenId".</summary>
public sealed class OpenIdOptions
{
    /// <summary>
    /// Who signs the tokens, exactly as they name it ("iss"), by https. Its metadata lie below it (OpenID Connect Discovery 1.0 §4). Default:
    /// none, and no token is taken.
    /// </summary>
    public string Issuer { get; set; } = "";

    /// <summary>For whom a token has to be made ("aud"): one of these. Default: none, which an issuer does not go without (RFC 9068 §4).</summary>
    public IList<string> Audiences { get; init; } = [];

    /// <summary>The claim of a token that is the address of the account. Default email.</summary>
    public string AccountClaim { get; set; } = Email;

    /// <summary>
    /// Where <see cref="AccountClaim"/> is email, a token must say that the issuer has verified it ("email_verified"). Default true: else who
    /// may write any address into his profile logs in as anybody.
    /// </summary>
    public bool RequireVerifiedEmail { get; set; } = true;

    /// <summary>A scope that a token must have ("scope", RFC 9068 §2.2.3, or "scp"). Default: none, any will do.</summary>
    public string RequiredScope { get; set; } = "";

    /// <summary>How far the issuer's clock may be from ours. Default 1 minute.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:10:00")]
    public TimeSpan ClockTolerance { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>Longest wait for the issuer's metadata and keys together. Default 5 s: a login waits as long at most, when keys are needed.</summary>
    [Range(typeof(TimeSpan), "00:00:00.100", "00:01:00")]
    public TimeSpan FetchTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Age from which keys are fetched anew, beside the logins. Default 1 hour: so long may a key be taken that the issuer has withdrawn.</summary>
    [Range(typeof(TimeSpan), "00:01:00", "1.00:00:00")]
    public TimeSpan KeyRefreshInterval { get; set; } = TimeSpan.FromHours(1);

    /// <summary>Metadata and keys may come by plain http from this machine itself, as from a proxy in the same pod. Default false.</summary>
    public bool AllowLoopbackHttp { get; set; }

    internal const string Email = "email";

    /// <summary>OpenID Connect Discovery 1.0 §4.1.</summary>
    internal string ConfigurationAddress => Issuer.TrimEnd('/') + "/.well-known/openid-configuration";

    internal bool MayFetch(string address) =>
        Uri.TryCreate(address, UriKind.Absolute, out var uri) && uri.UserInfo.Length == 0
        && (uri.Scheme == Uri.UriSchemeHttps || (AllowLoopbackHttp && uri.Scheme == Uri.UriSchemeHttp && IsLoopback(uri)));

    /// <summary>What attributes cannot say.</summary>
    internal IEnumerable<string> Failures(string setting)
    {
        if (Issuer.Length == 0)
        {
            if (Audiences.Count > 0 || RequiredScope.Length > 0)
                yield return $"{setting}:{nameof(Issuer)} is not set, but other settings of {setting} are; it must be an address such as https://login.example.org";
            yield break;
        }

        if (!MayFetch(Issuer) || new Uri(Issuer) is { Query.Length: > 0 } or { Fragment.Length: > 0 })
            yield return $"{setting}:{nameof(Issuer)} is '{Issuer}'; it must be an address by https without a query, such as https://login.example.org (by http only on this machine, with {setting}:{nameof(AllowLoopbackHttp)})";
        if (Audiences.Count == 0 || Audiences.Any(string.IsNullOrWhiteSpace))
            yield return $"{setting}:{nameof(Audiences)} has no entry, or an empty one; it must name for whom tokens are made, e.g. {setting}:{nameof(Audiences)}:0=mail";
        if (string.IsNullOrWhiteSpace(AccountClaim))
            yield return $"{setting}:{nameof(AccountClaim)} is empty; it must be the name of a claim, such as {Email}";
        // RFC 6749 §3.3: a scope has neither.
        if (RequiredScope.AsSpan().ContainsAny(' ', '"', '\\'))
            yield return $"{setting}:{nameof(RequiredScope)} is '{RequiredScope}'; it must be one scope, without spaces";
    }

    private static bool IsLoopback(Uri uri) => uri.Host == "localhost" || (HostAddress.TryParse(uri.DnsSafeHost, out var address) && IPAddress.IsLoopback(address));
}

[OptionsValidator]
internal sealed partial class OpenIdOptionsAttributes : IValidateOptions<OpenIdOptions>;
