using System.Globalization;
using System.Security.Cryptography;
using MailPipeline.Dns;

namespace MailPipeline.Administration;

/// <summary>Records of keys and of TLS (RFC 6376 §3.6.1, RFC 8461 §3.1, RFC 8460 §3, RFC 6698), held against what they must say.</summary>
internal sealed class PublishedTexts(IDnsLookup dns, TimeProvider time)
{
    /// <summary>RFC 8301 §3.2</summary>
    private const int LeastKeyBits = 1024;
    private const int GoodKeyBits = 2048;
    private const int Ed25519KeyBytes = 32;

    public Task<PublishedItem> KeyAsync(string domain, string selector, CancellationToken cancellation) => TextAsync(
        PublishedKind.Dkim, $"{selector}._domainkey.{domain}", _ => true,
        [$"{selector}._domainkey.{domain}. TXT \"v=DKIM1; k=rsa; p=<the public key>\""], FaultOfKey, cancellation);

    // RFC 8461 §3.1
    public async Task<PublishedItem> MtaStsAsync(string domain, CancellationToken cancellation)
    {
        var id = time.GetUtcNow().UtcDateTime.ToString("yyyyMMddHHmmss", CultureInfo.InvariantCulture);
        var item = await TextAsync(
            PublishedKind.MtaSts, $"_mta-sts.{domain}", text => text.StartsWith("v=STSv1", StringComparison.Ordinal),
            [$"_mta-sts.{domain}. TXT \"v=STSv1; id={id}\""],
            text => TagsOf(text).GetValueOrDefault("id", "") is { Length: > 0 and <= 32 } value && value.All(char.IsAsciiLetterOrDigit)
                ? ("", "") : ("its id must be 1 to 32 letters and digits", ""), cancellation);
        if (item.State != PublishedState.Ok)
            return item;
        var host = $"mta-sts.{domain}";
        return (await dns.IPv4Async(host, cancellation)).Records.Count + (await dns.IPv6Async(host, cancellation)).Records.Count > 0
            ? item
            : item with { State = PublishedState.Wrong, Remark = $"{host}, from which the policy is fetched by HTTPS, has no address", Publish = [$"{host}. A <its IPv4 address>"] };
    }

    // RFC 8460 §3
    public Task<PublishedItem> TlsReportsAsync(string domain, CancellationToken cancellation) => TextAsync(
        PublishedKind.TlsReports, $"_smtp._tls.{domain}", text => text.StartsWith("v=TLSRPTv1", StringComparison.Ordinal),
        [$"_smtp._tls.{domain}. TXT \"v=TLSRPTv1; rua=mailto:postmaster@{domain}\""],
        text => TagsOf(text).GetValueOrDefault("rua", "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) is { Length: > 0 } uris
            && uris.All(uri => uri.StartsWith("mailto:", StringComparison.OrdinalIgnoreCase) || uri.StartsWith("https:", StringComparison.OrdinalIgnoreCase))
                ? ("", "") : ("its rua must be mailto: or https:", ""), cancellation);

    /// <summary>Of a host, or of what it is an alias of (RFC 7672 §2.2.3, §3.1).</summary>
    public async Task<PublishedItem> TlsaAsync(string host, CancellationToken cancellation)
    {
        var own = await NamedTlsaAsync(host, cancellation);
        if (own.State is PublishedState.Ok or PublishedState.Unknown)
            return own;
        var (four, six) = (await dns.IPv4Async(host, cancellation), await dns.IPv6Async(host, cancellation));
        return (four.Alias.Length > 0 ? four.Alias : six.Alias) is { Length: > 0 } alias && await NamedTlsaAsync(alias, cancellation) is { Found.Count: > 0 } behind ? behind : own;
    }

    private async Task<PublishedItem> NamedTlsaAsync(string host, CancellationToken cancellation)
    {
        var name = $"_25._tcp.{host}";
        string[] publish = [$"{name}. TLSA 3 1 1 <SHA-256 of the public key of its certificate>"];
        var answer = await dns.TlsaAsync(name, cancellation);
        if (answer.Status == DnsStatus.Failed)
            return DomainCheck.Unanswered(PublishedKind.Tlsa, name, answer.Error);
        string[] found = [.. answer.Records.Select(record => $"{record.Usage} {record.Selector} {record.MatchingType} {Convert.ToHexString(record.Data.Span).ToLowerInvariant()}")];
        if (found.Length == 0)
            return new(PublishedKind.Tlsa, name, PublishedState.Missing, [], "only where the zone is signed by DNSSEC", publish);
        if (!answer.Records.Any(IsUsable))
            return new(PublishedKind.Tlsa, name, PublishedState.Wrong, found, "none of them can be used for SMTP: usage 2 or 3, selector 0 or 1, matching type 1 with 32 octets, 2 with 64, or 0", publish);
        return answer.IsAuthenticated
            ? new(PublishedKind.Tlsa, name, PublishedState.Ok, found, "", [])
            : new(PublishedKind.Tlsa, name, PublishedState.Wrong, found, "the resolver does not vouch for it by DNSSEC, and nobody uses it then", []);
    }

    private static bool IsUsable(TlsaRecord record) => record is { Usage: 2 or 3, Selector: 0 or 1 } && record switch
    {
        { MatchingType: 1 } => record.Data.Length == SHA256.HashSizeInBytes,
        { MatchingType: 2 } => record.Data.Length == SHA512.HashSizeInBytes,
        { MatchingType: 0 } => record.Data.Length > 0,
        _ => false,
    };

    /// <param name="judge">What is wrong with a text, or what is to be said of one that is right.</param>
    private async Task<PublishedItem> TextAsync(
        PublishedKind kind, string name, Func<string, bool> isOne, string[] publish, Func<string, (string Fault, string Remark)> judge, CancellationToken cancellation)
    {
        var answer = await dns.TxtAsync(name, cancellation);
        if (answer.Status == DnsStatus.Failed)
            return DomainCheck.Unanswered(kind, name, answer.Error);
        string[] found = [.. answer.Records.Select(record => record.Text).Where(isOne)];
        if (found.Length == 0)
            return new(kind, name, PublishedState.Missing, [], "", publish);
        if (found.Length > 1)
            return new(kind, name, PublishedState.Wrong, found, "there may be one record", publish);
        var (fault, remark) = judge(found[0]);
        return fault.Length > 0 ? new(kind, name, PublishedState.Wrong, found, fault, publish) : new(kind, name, PublishedState.Ok, found, remark, []);
    }

    // RFC 6376 §3.6.1, RFC 8463 §4
    private static (string Fault, string Remark) FaultOfKey(string text)
    {
        var tags = TagsOf(text);
        if (tags.TryGetValue("v", out var version) && version != "DKIM1")
            return ($"v is '{version}', and must be DKIM1", "");
        if (!tags.TryGetValue("p", out var key))
            return ("it has no key (p)", "");
        if (key.Length == 0)
            return ("the key is revoked (p is empty)", "");
        var octets = new byte[key.Length];
        if (!Convert.TryFromBase64String(string.Concat(key.Where(character => !char.IsWhiteSpace(character))), octets, out var length))
            return ("its key (p) is not Base64", "");
        var testing = tags.GetValueOrDefault("t", "").Split(':').Contains("y") ? "it is for tests (t=y): who fails is treated as who does not sign" : "";
        switch (tags.GetValueOrDefault("k", "rsa"))
        {
            case "ed25519":
                return length == Ed25519KeyBytes ? ("", testing) : ($"its key has {length} octets, and Ed25519 has {Ed25519KeyBytes}", "");
            case "rsa":
                return BitsOf(octets.AsSpan(0, length)) switch
                {
                    null => ("its key is no RSA key", ""),
                    < LeastKeyBits and var bits => ($"its key has {bits} bits, and nobody takes less than {LeastKeyBits} (RFC 8301)", ""),
                    < GoodKeyBits and var bits => ("", $"its key has {bits} bits; {GoodKeyBits} are usual"),
                    _ => ("", testing),
                };
            default:
                return ($"k is '{tags["k"]}', and must be rsa or ed25519", "");
        }
    }

    /// <summary>Null: it is no key in either form that is in use (RFC 6376 §3.6.1, erratum 3017).</summary>
    private static int? BitsOf(ReadOnlySpan<byte> key)
    {
        using var rsa = RSA.Create();
        try
        {
            rsa.ImportSubjectPublicKeyInfo(key, out _);
            return rsa.KeySize;
        }
        catch (CryptographicException)
        {
            try
            {
                rsa.ImportRSAPublicKey(key, out _);
                return rsa.KeySize;
            }
            catch (CryptographicException)
            {
                return null;
            }
        }
    }

    private static Dictionary<string, string> TagsOf(string text)
    {
        var tags = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var tag in text.Split(';'))
        {
            var equals = tag.IndexOf('=', StringComparison.Ordinal);
            if (equals > 0)
                tags.TryAdd(tag[..equals].Trim(), tag[(equals + 1)..].Trim());
        }

        return tags;
    }
}
