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
    private const string Version = "DKIM1";

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
                ? TextJudgement.Right : TextJudgement.Wrong(RemarkKind.StsId), cancellation);
        if (item.State != PublishedState.Ok)
            return item;
        var host = $"mta-sts.{domain}";
        return (await dns.IPv4Async(host, cancellation)).Records.Count + (await dns.IPv6Async(host, cancellation)).Records.Count > 0
            ? item
            : item with { State = PublishedState.Wrong, Remarks = [new(RemarkKind.StsHostWithoutAddress, host)], Publish = [$"{host}. A <its IPv4 address>"] };
    }

    // RFC 8460 §3
    public Task<PublishedItem> TlsReportsAsync(string domain, CancellationToken cancellation) => TextAsync(
        PublishedKind.TlsReports, $"_smtp._tls.{domain}", text => text.StartsWith("v=TLSRPTv1", StringComparison.Ordinal),
        [$"_smtp._tls.{domain}. TXT \"v=TLSRPTv1; rua=mailto:postmaster@{domain}\""],
        text => TagsOf(text).GetValueOrDefault("rua", "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) is { Length: > 0 } uris
            && uris.All(uri => uri.StartsWith("mailto:", StringComparison.OrdinalIgnoreCase) || uri.StartsWith("https:", StringComparison.OrdinalIgnoreCase))
                ? TextJudgement.Right : TextJudgement.Wrong(RemarkKind.TlsReportTargets), cancellation);

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
            return new(PublishedKind.Tlsa, name, PublishedState.Missing, [], [new(RemarkKind.NeedsDnssec)], publish);
        if (!answer.Records.Any(IsUsable))
            return new(PublishedKind.Tlsa, name, PublishedState.Wrong, found, [new(RemarkKind.NoUsableTlsa)], publish);
        return answer.IsAuthenticated
            ? new(PublishedKind.Tlsa, name, PublishedState.Ok, found, [], [])
            : new(PublishedKind.Tlsa, name, PublishedState.Wrong, found, [new(RemarkKind.NotAuthenticated)], []);
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
        PublishedKind kind, string name, Func<string, bool> isOne, string[] publish, Func<string, TextJudgement> judge, CancellationToken cancellation)
    {
        var answer = await dns.TxtAsync(name, cancellation);
        if (answer.Status == DnsStatus.Failed)
            return DomainCheck.Unanswered(kind, name, answer.Error);
        string[] found = [.. answer.Records.Select(record => record.Text).Where(isOne)];
        if (found.Length == 0)
            return new(kind, name, PublishedState.Missing, [], [], publish);
        if (found.Length > 1)
            return new(kind, name, PublishedState.Wrong, found, [new(RemarkKind.SeveralRecords)], publish);
        var judged = judge(found[0]);
        return judged.IsRight ? new(kind, name, PublishedState.Ok, found, judged.Remarks, []) : new(kind, name, PublishedState.Wrong, found, judged.Remarks, publish);
    }

    // RFC 6376 §3.6.1, RFC 8463 §4
    private static TextJudgement FaultOfKey(string text)
    {
        var tags = TagsOf(text);
        if (tags.TryGetValue("v", out var version) && version != Version)
            return TextJudgement.Wrong(RemarkKind.KeyVersion, version, Version);
        if (!tags.TryGetValue("p", out var key))
            return TextJudgement.Wrong(RemarkKind.NoKey);
        if (key.Length == 0)
            return TextJudgement.Wrong(RemarkKind.KeyRevoked);
        var octets = new byte[key.Length];
        if (!Convert.TryFromBase64String(string.Concat(key.Where(character => !char.IsWhiteSpace(character))), octets, out var length))
            return TextJudgement.Wrong(RemarkKind.KeyNotBase64);
        var testing = tags.GetValueOrDefault("t", "").Split(':').Contains("y") ? TextJudgement.RightBut(RemarkKind.KeyForTests) : TextJudgement.Right;
        switch (tags.GetValueOrDefault("k", "rsa"))
        {
            case "ed25519":
                return length == Ed25519KeyBytes ? testing : TextJudgement.Wrong(RemarkKind.KeyOctets, Text(length), Text(Ed25519KeyBytes));
            case "rsa":
                return BitsOf(octets.AsSpan(0, length)) switch
                {
                    null => TextJudgement.Wrong(RemarkKind.NotAnRsaKey),
                    < LeastKeyBits and var bits => TextJudgement.Wrong(RemarkKind.KeyTooShort, Text(bits), Text(LeastKeyBits)),
                    < GoodKeyBits and var bits => TextJudgement.RightBut(RemarkKind.KeyShort, Text(bits), Text(GoodKeyBits)),
                    _ => testing,
                };
            default:
                return TextJudgement.Wrong(RemarkKind.KeyKind, tags["k"]);
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

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

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

/// <summary>Whether a text is as it must be, and what is to be said of it.</summary>
internal readonly record struct TextJudgement(bool IsRight, IReadOnlyList<PublishedRemark> Remarks)
{
    public static TextJudgement Right { get; } = new(true, []);

    public static TextJudgement RightBut(RemarkKind kind, params string[] values) => new(true, [new(kind, values)]);

    public static TextJudgement Wrong(RemarkKind kind, params string[] values) => new(false, [new(kind, values)]);
}
