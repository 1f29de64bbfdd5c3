using System.Buffers;
using System.Text;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// Addresses as they stand in log lines, each under a key: <c>to=&lt;joe@example.org&gt;</c>. What a stranger writes in one can end
/// neither the address nor the line, and so look like no other key.
/// </summary>
public static class LogText
{
    /// <summary>Recipients of one line; a message with more has more lines.</summary>
    private const int MaxRecipients = 50;

    // Printable ASCII but space, "<" and ">".
    private static readonly SearchValues<char> s_plain =
        SearchValues.Create([.. Enumerable.Range('!', '~' - '!' + 1).Select(code => (char)code).Where(character => character is not ('<' or '>'))]);

    /// <summary>As long as an address may be here; what is longer was never one.</summary>
    private const int MaxAddress = 512;

    /// <summary>The address with '?' for what could be taken for something else, and with "..." for what is too long to be one.</summary>
    public static string Address(string address)
    {
        ArgumentNullException.ThrowIfNull(address);
        if (address.Length > MaxAddress)
            return Address(address[..MaxAddress]) + "...";
        if (!address.AsSpan().ContainsAnyExcept(s_plain))
            return address;
        var text = new StringBuilder(address.Length);
        foreach (var rune in address.EnumerateRunes())
        {
            if (rune.Value < 0x80 ? s_plain.Contains((char)rune.Value) : Rune.IsLetterOrDigit(rune))
                text.Append(rune);
            else
                text.Append('?');
        }
        return text.ToString();
    }

    /// <summary>The recipients under their key, in as many texts as there are lines.</summary>
    public static IEnumerable<string> Recipients(IReadOnlyList<string> addresses) => Lines(addresses, Recipient);

    /// <summary>What the sender wrote, where an alias led on from there, behind the address that it led to; empty where none did.</summary>
    public static string Original(string? original) => string.IsNullOrEmpty(original) ? "" : string.Concat(" orig=<", Address(original), ">");

    /// <summary>What has no value has a mark: a key is never empty.</summary>
    public static string OrNone(string value) => string.IsNullOrEmpty(value) ? "-" : value;

    /// <summary>What is said of each, in as many texts as there are lines.</summary>
    public static IEnumerable<string> Lines<T>(IReadOnlyList<T> recipients, Func<T, string> text)
    {
        ArgumentNullException.ThrowIfNull(recipients);
        // Nearly all messages have one.
        return recipients.Count == 1 ? [text(recipients[0])] : recipients.Chunk(MaxRecipients).Select(chunk => string.Join(' ', chunk.Select(text)));
    }

    /// <summary>One recipient under its key.</summary>
    public static string Recipient(string address) => string.Concat("to=<", Address(address), ">");
}
