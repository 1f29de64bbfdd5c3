using System.Security.Cryptography;
using System.Text;

namespace MailPipeline.Testing;

/// <summary>
/// A message of a run, all of it made from its token, a seed and a size, so that every later copy can be checked without
/// the original. The token stands in the first header line, in Message-ID and in the Subject.
/// </summary>
public sealed class LedgerMessage
{
    /// <summary>First header line of every ledger message; what stands before it was prepended on the way.</summary>
    public const string TokenHeader = "X-Ledger-Token";

    private readonly byte[] _header;

    public LedgerMessage(string token, string sender, IReadOnlyList<ExpectedRecipient> recipients, ReadOnlyMemory<byte> body, string extraHeaders = "")
    {
        Token = token;
        Sender = sender;
        Recipients = recipients;
        Body = body;
        _header = Encoding.UTF8.GetBytes(
            $"{TokenHeader}: {token}\r\n" +
            $"Message-ID: <{token}@ledger.example>\r\n" +
            "Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n" +
            $"From: <{(sender.Length == 0 ? "nobody@ledger.example" : sender)}>\r\n" +
            "To: undisclosed-recipients:;\r\n" +
            $"Subject: ledger {token}\r\n" +
            extraHeaders);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(_header);
        hash.AppendData(body.Span);
        BodyHash = Convert.ToHexString(hash.GetHashAndReset());
    }

    public string Token { get; }

    /// <summary>Reverse-path; empty for the null sender.</summary>
    public string Sender { get; }

    public IReadOnlyList<ExpectedRecipient> Recipients { get; }

    /// <summary>RET as MAIL says it: FULL, HDRS; empty: nothing.</summary>
    public string Return { get; init; } = "";

    /// <summary>Header section without the empty line; always ends with CRLF.</summary>
    public ReadOnlyMemory<byte> Header => _header;

    /// <summary>What follows the fixed header lines: more header lines if the text begins with such, the empty line, the body.</summary>
    public ReadOnlyMemory<byte> Body { get; }

    /// <summary>SHA-256 from the token's header line to the end.</summary>
    public string BodyHash { get; }

    public long SizeBytes => _header.Length + Body.Length;

    /// <summary>The whole message, not dot-stuffed.</summary>
    public byte[] ToArray() => [.. _header, .. Body.Span];

    /// <summary>A message with a generated body of about this size.</summary>
    public static LedgerMessage Create(string token, string sender, int seed, int sizeBytes, params ExpectedRecipient[] recipients) =>
        new(token, sender, recipients, LedgerBody.Generate(seed, sizeBytes));

    /// <summary>What senders say of reports, at random: nothing as a rule, and else each of what they can.</summary>
    public static string AnyNotify(Random random) => random.Next(3) > 0 ? "" : s_notify[random.Next(s_notify.Length)];

    /// <summary>What senders say of RET, at random: nothing as a rule.</summary>
    public static string AnyReturn(Random random) => random.Next(6) switch
    {
        0 => "FULL",
        1 => "HDRS",
        _ => "",
    };

    private static readonly string[] s_notify =
        ["NEVER", "SUCCESS", "FAILURE", "DELAY", "SUCCESS,FAILURE", "SUCCESS,DELAY", "FAILURE,DELAY", "SUCCESS,FAILURE,DELAY"];
}

/// <summary>Bodies by seed: lines of all lengths up to 998 octets, some empty, some beginning with dots.</summary>
public static class LedgerBody
{
    /// <summary>The empty line and then about <paramref name="sizeBytes"/> octets of 7-bit text ending with CRLF.</summary>
    public static byte[] Generate(int seed, int sizeBytes)
    {
        var random = new Random(seed);
        var body = new byte[sizeBytes + 4];
        "\r\n"u8.CopyTo(body);
        var at = 2;
        while (at < body.Length)
        {
            // RFC 5321 §4.5.3.1.6: a text line has at most 1,000 octets with its CRLF.
            var wanted = random.Next(20) == 0 ? random.Next(999) : random.Next(79);
            var length = Math.Min(wanted, Math.Max(0, body.Length - at - 2));
            if (body.Length - at - 2 - length == 1)
                length++;
            var line = body.AsSpan(at, Math.Min(length, body.Length - at - 2));
            Fill(line, random);
            at += line.Length;
            "\r\n"u8.CopyTo(body.AsSpan(at));
            at += 2;
        }
        return body;
    }

    private static void Fill(Span<byte> line, Random random)
    {
        random.NextBytes(line);
        foreach (ref var octet in line)
            octet = (byte)(' ' + octet % 95);
        if (random.Next(8) == 0)
            line[..Math.Min(line.Length, 1 + random.Next(3))].Fill((byte)'.');
    }
}
