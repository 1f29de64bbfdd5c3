using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using MailPipeline.Smtp;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MailPipeline.Mail;

/// <summary>What is wrong with a rewritten sender that mail comes back to.</summary>
public enum ReturnPathFault
{
    None,

    /// <summary>We have not made it, or not with a secret that still counts.</summary>
    Forged,

    /// <summary>We have made it, too long ago.</summary>
    Expired,
}

/// <summary>A rewritten sender that was read.</summary>
/// <param name="Sender">Whom it stands for; empty where it has a fault.</param>
public readonly record struct RewrittenSender(string Sender, ReturnPathFault Fault);

/// <summary>What became of a sender whose message is forwarded.</summary>
public enum SenderRewritingOutcome
{
    Rewritten,

    /// <summary>It would be longer than hosts take.</summary>
    TooLong,

    /// <summary>It has no domain that could be written down (an address literal), or there is no secret.</summary>
    Unfit,
}

/// <summary>
/// SRS, the Sender Rewriting Scheme (Shevek, "The Sender Rewriting Scheme", 2004): forwarded mail leaves under an address of ours that SPF permits us, and
/// a report to that address finds the sender.
/// <code>
/// SRS0=digest=day=domain=local@ours         of local@domain
/// SRS1=digest day=host==rest@ours           of SRS0=rest@host, which another forwarder made, or of its SRS1 at a third
/// </code>
/// A digest has 40 bits of HMAC-SHA-256 in base32, over the kind of address, the whole number of the day and the address that is kept, in lower case: who changes
/// the case of letters on the way does no harm. The day is written modulo 1024; as the digest covers all of it, an address does not become valid again when
/// that number comes again.
/// </summary>
public sealed class SenderRewriting
{
    private const string Direct = "SRS0";
    private const string Guarded = "SRS1";
    private const int DigestBytes = 5;
    private const int DigestLength = 8;
    private const int DayLength = 2;
    private const int DayModulus = 1024;

    /// <summary>RFC 5321 §4.5.3.1.3, without brackets.</summary>
    private const int MaxAddressBytes = 254;

    // RFC 4648 §6
    private const string Base32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

    private static readonly SearchValues<char> s_separators = SearchValues.Create("=+-");

    private readonly SenderRewritingOptions _options;
    private readonly string _domain;
    private readonly SrsSecretFile? _secrets;
    private readonly TimeProvider _time;

    public SenderRewriting(IOptions<SenderRewritingOptions> options, TimeProvider time, ILogger<SenderRewriting> log)
    {
        _options = options.Value;
        _time = time;
        if (_options.Domain.Length == 0)
        {
            _domain = "";
            return;
        }

        _domain = DomainName.Key(_options.Domain);
        _secrets = new SrsSecretFile(_options.SecretFile, _options.CheckInterval, time, log);
    }

    /// <summary>Senders of forwarded mail are rewritten.</summary>
    public bool Rewrites => _secrets is not null && _options.Rewrite;

    /// <summary>Mail to rewritten senders is taken of anybody, not only of the null sender.</summary>
    public bool TakesAnySender => _options.AcceptFrom == ReturnPathSenders.Any;

    /// <param name="domain">As <see cref="DomainName.Key"/> has it.</param>
    public bool IsOwnDomain(string domain) => _secrets is not null && domain == _domain;

    /// <param name="sender">Reverse-path without brackets, not the null one.</param>
    /// <param name="rewritten">Empty where the sender stays as he is.</param>
    public SenderRewritingOutcome Rewrite(string sender, out string rewritten)
    {
        rewritten = "";
        if (_secrets is not { Current: [var secret, ..] } || !SmtpAddress.TryParse(sender, out var address, allowUtf8: true)
            || address is not { HasDomain: true, HasAddressLiteral: false })
        {
            return SenderRewritingOutcome.Unfit;
        }

        var day = DayOf(_time.GetUtcNow());
        string local;
        if (KeptOf(address) is var (host, rest))
            local = $"{Guarded}={Digest(secret, Guarded, day, rest, host)}{Written(day)}={host}={rest}";
        else
            local = $"{Direct}={Digest(secret, Direct, day, address.LocalPart, address.Domain)}={Written(day)}={address.Domain}={address.LocalPart}";
        if (SmtpAddress.OfParts(local, _domain) is not { } made || Encoding.UTF8.GetByteCount(made.Text) is var bytes
            && (bytes > MaxAddressBytes || bytes - _domain.Length - 1 > _options.MaxLocalPartBytes))
            return SenderRewritingOutcome.TooLong;
        rewritten = made.Text;
        return SenderRewritingOutcome.Rewritten;
    }

    /// <summary>Reads a rewritten sender of ours; null: the address is none, whoever's it is.</summary>
    /// <param name="at">When its mail came.</param>
    public RewrittenSender? Read(string address, DateTimeOffset at)
    {
        if (_secrets is null || !SmtpAddress.TryParse(address, out var parsed, allowUtf8: true) || !IsOwnDomain(parsed!.Domain))
            return null;
        var local = parsed.LocalPart;
        if (!Is(local, Direct, '=') && !Is(local, Guarded, '='))
            return null;
        var kind = local.StartsWith(Direct, StringComparison.OrdinalIgnoreCase) ? Direct : Guarded;
        if (PartsOf(local[(kind.Length + 1)..], kind) is not var (digest, written, domain, kept) || SenderOf(kind, kept, domain) is not { } sender)
            return new RewrittenSender("", ReturnPathFault.Forged);
        var today = DayOf(at);
        // The last day of that number; that of tomorrow is today for a clock that is ahead.
        var day = today + 1 - Modulo(today + 1 - written);
        // Each secret is tried, so that how long it takes says nothing.
        var isOurs = _secrets.Current.Aggregate(false, (found, secret) => found | IsSame(digest, Digest(secret, kind, day, kept, domain)));
        if (!isOurs)
            return new RewrittenSender("", ReturnPathFault.Forged);
        return today - day > _options.MaxDaysOfAge ? new RewrittenSender("", ReturnPathFault.Expired) : new RewrittenSender(sender, ReturnPathFault.None);
    }

    /// <summary>
    /// Of an address that a forwarder has rewritten: the one that made it first, and the local part it made without "SRS0". Null for any other.
    /// </summary>
    private static (string Host, string Tail)? KeptOf(SmtpAddress address)
    {
        var local = address.LocalPart;
        if (local.Length <= Direct.Length + 1 || !s_separators.Contains(local[Direct.Length]))
            return null;
        if (Is(local, Direct, local[Direct.Length]))
            return (address.Domain, local[Direct.Length..]);
        if (!Is(local, Guarded, local[Guarded.Length]))
            return null;
        // Its digest is that forwarder's own, and mail goes past him: SRS1=digest=host==rest.
        var parts = local[(Guarded.Length + 1)..].Split('=', 3);
        return parts is [{ Length: > 0 }, var host, { Length: > 1 } rest] && s_separators.Contains(rest[0]) && IsDomain(host) ? (host.ToLowerInvariant(), rest) : null;
    }

    /// <summary>What stands behind the kind; null where it cannot be ours.</summary>
    private static (string Digest, int Day, string Domain, string Kept)? PartsOf(string text, string kind)
    {
        string digest, day, domain, kept;
        if (kind == Direct)
        {
            if (text.Split('=', 4) is not [var first, var second, var third, var fourth])
                return null;
            (digest, day, domain, kept) = (first, second, third, fourth);
        }
        else
        {
            if (text.Split('=', 3) is not [{ Length: DigestLength + DayLength } both, var host, { Length: > 1 } rest] || !s_separators.Contains(rest[0]))
                return null;
            (digest, day, domain, kept) = (both[..DigestLength], both[DigestLength..], host, rest);
        }

        return digest.Length == DigestLength && DayOf(day) is { } number && kept.Length > 0 && IsDomain(domain) ? (digest, number, domain, kept) : null;
    }

    private static string? SenderOf(string kind, string kept, string domain) =>
        SmtpAddress.OfParts(kind == Direct ? kept : Direct + kept, domain.ToLowerInvariant())?.Text;

    private static bool Is(string local, string kind, char separator) =>
        local.Length > kind.Length && local.StartsWith(kind, StringComparison.OrdinalIgnoreCase) && local[kind.Length] == separator;

    private static bool IsDomain(string text) => SmtpAddress.TryParse($"x@{text}", out var address) && !address!.HasAddressLiteral;

    private static string Digest(byte[] secret, string kind, long day, string kept, string domain)
    {
        // No address has a line end, so that nothing can be moved from one part to the next.
        var text = string.Create(CultureInfo.InvariantCulture, $"{kind}\n{day}\n{MailName.Key($"{kept}@{domain}")}");
        var digest = HMACSHA256.HashData(secret, Encoding.UTF8.GetBytes(text)).AsSpan(0, DigestBytes);
        return string.Create(DigestLength, BitsOf(digest), static (letters, bits) =>
        {
            for (var i = letters.Length - 1; i >= 0; i--, bits >>= 5)
                letters[i] = Base32[(int)(bits & 31)];
        });
    }

    private static long BitsOf(ReadOnlySpan<byte> digest)
    {
        var bits = 0L;
        foreach (var octet in digest)
            bits = (bits << 8) | octet;
        return bits;
    }

    private static bool IsSame(string written, string digest) =>
        CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(written.ToUpperInvariant()), Encoding.UTF8.GetBytes(digest));

    private static long DayOf(DateTimeOffset time) => (long)Math.Floor((time - DateTimeOffset.UnixEpoch).TotalDays);

    private static string Written(long day) => $"{Base32[(int)(Modulo(day) >> 5)]}{Base32[(int)(Modulo(day) & 31)]}";

    private static int? DayOf(string written)
    {
        if (written.Length != DayLength)
            return null;
        var (high, low) = (Base32.IndexOf(char.ToUpperInvariant(written[0])), Base32.IndexOf(char.ToUpperInvariant(written[1])));
        return high < 0 || low < 0 ? null : (high << 5) | low;
    }

    private static long Modulo(long days) => ((days % DayModulus) + DayModulus) % DayModulus;
}
