using System.Globalization;

namespace MailPipeline.Smtp;

/// <summary>An enhanced status code "class.subject.detail" (RFC 3463 §2).</summary>
public readonly record struct EnhancedStatus(int Class, int Subject, int Detail)
{
    private const int MaxPart = 999;

    /// <summary>Takes exactly "class.subject.detail" with class 2, 4 or 5.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out EnhancedStatus status)
    {
        status = default;
        if (text.Length < 5 || text[0] is not ('2' or '4' or '5') || text[1] != '.')
            return false;

        var rest = text[2..];
        var dot = rest.IndexOf('.');
        if (dot < 0 || !TryParsePart(rest[..dot], out var subject) || !TryParsePart(rest[(dot + 1)..], out var detail))
            return false;

        status = new EnhancedStatus(text[0] - '0', subject, detail);
        return true;
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Class}.{Subject}.{Detail}");

    // RFC 3463 §2: one to three digits, no leading zeros (which are taken all the same: they name the same code).
    private static bool TryParsePart(ReadOnlySpan<char> text, out int value)
    {
        value = 0;
        if (text.Length is 0 or > 3)
            return false;

        foreach (var c in text)
        {
            if (!char.IsAsciiDigit(c))
                return false;
            value = value * 10 + (c - '0');
        }

        return value <= MaxPart;
    }
}
