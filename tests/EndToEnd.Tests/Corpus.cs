using System.Text;
using MailPipeline.Testing;

namespace MailPipeline.EndToEnd.Tests;

/// <summary>Messages that mail systems like to damage. All end with CRLF, as content of DATA does (RFC 5321 §4.1.1.4).</summary>
internal static class Corpus
{
    public static readonly string[] Names =
        ["plain", "empty body", "eight bit", "dots", "long header", "long lines", "white space", "nested multiparts", "25 MB"];

    /// <summary>The message of this name for these recipients.</summary>
    public static LedgerMessage Create(string name, string token, string sender, params string[] recipients)
    {
        var (headers, body) = Content(name);
        return new LedgerMessage(
            token, sender, [.. recipients.Select(r => new ExpectedRecipient(r))], Encoding.Latin1.GetBytes(body), headers);
    }

    // Header lines, and what follows them beginning with the empty line; Latin-1 stands for octets here.
    private static (string Headers, string Body) Content(string name) => name switch
    {
        "plain" => ("", "\r\nHello,\r\nthis is plain text.\r\n"),
        "empty body" => ("", "\r\n"),
        "eight bit" => (
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n",
            "\r\n" + string.Concat(Enumerable.Range(0, 20).Select(_ => new string([.. Enumerable.Range(0x80, 0x80).Select(c => (char)c)]) + "\r\n"))),
        "dots" => ("", "\r\n.\r\n..\r\n...\r\n.a\r\n..b\r\n \r\n.\r\n\r\n.\r\n\r\na.\r\n.\r\n"),
        "long header" => (
            "X-Long: " + string.Concat(Enumerable.Range(0, 2000).Select(i => $"word{i:D4} and some more text to fill the line\r\n\t")) + "end\r\n" +
            "X-Longest-Line: " + new string('x', 960) + "\r\n",
            "\r\nbody\r\n"),
        // RFC 5321 §4.5.3.1.6: 998 octets and CRLF.
        "long lines" => ("", "\r\n" + string.Concat(Enumerable.Range(0, 50).Select(i => new string((char)('a' + i % 26), 998) + "\r\n"))),
        "white space" => ("Subject-Folded: a\r\n b\r\n\tc\r\n", "\r\n  leading\r\ntrailing  \r\n\t\r\n \r\n\r\n\r\n\r\n"),
        "nested multiparts" => ("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b0\"\r\n", "\r\npreamble\r\n" + Nested(0, 20)),
        "25 MB" => ("", Encoding.Latin1.GetString(LedgerBody.Generate(seed: 25, sizeBytes: 25 * 1000 * 1000))),
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, "not in the corpus"),
    };

    private static string Nested(int level, int levels)
    {
        var inner = level == levels
            ? "Content-Type: text/plain\r\n\r\n.dot at the deepest\r\n--b0 is no boundary here\r\n"
            : $"Content-Type: multipart/mixed; boundary=\"b{level + 1}\"\r\n\r\n{Nested(level + 1, levels)}";
        return $"--b{level}\r\nContent-Type: message/rfc822\r\n\r\nSubject: level {level}\r\n{inner}\r\n--b{level}--\r\nepilogue {level}\r\n";
    }
}
