using System.Globalization;
using System.Text;
using MailPipeline.Authentication.Dkim;

namespace MailPipeline.Authentication.Arc;

/// <summary>What one handler has put in front of a message (RFC 8617 §4.2): what it saw, its signature of the message, and its seal of all.</summary>
internal sealed record ArcSet(MessageField Results, MessageField MessageSignature, MessageField Seal)
{
    public const string ResultsName = "arc-authentication-results";
    public const string MessageSignatureName = "arc-message-signature";
    public const string SealName = "arc-seal";

    /// <summary>
    /// The sets of a header, the oldest first (RFC 8617 §4.2.1, §5.2). Null where they are no chain: one of the fields is missing, is there twice, has no
    /// instance or one beyond the bound.
    /// </summary>
    public static List<ArcSet>? FindAll(MessageHeader header, int maxSets)
    {
        var (results, signatures, seals) = (header.Named(ResultsName), header.Named(MessageSignatureName), header.Named(SealName));
        if (results.Count != signatures.Count || signatures.Count != seals.Count || seals.Count > maxSets)
            return null;
        return InOrder(results) is { } first && InOrder(signatures) is { } second && InOrder(seals) is { } third
            ? [.. first.Select((field, i) => new ArcSet(field, second[i], third[i]))] : null;
    }

    private static MessageField[]? InOrder(IReadOnlyList<MessageField> fields)
    {
        var ordered = new MessageField[fields.Count];
        var isThere = new bool[fields.Count];
        foreach (var field in fields)
        {
            var instance = InstanceOf(field);
            if (instance < 1 || instance > fields.Count || isThere[instance - 1])
                return null;
            (ordered[instance - 1], isThere[instance - 1]) = (field, true);
        }

        return ordered;
    }

    /// <summary>i= of a field; 0 where it has none. In front of results it stands first, and nothing else of them is a tag.</summary>
    private static int InstanceOf(MessageField field)
    {
        var value = Encoding.Latin1.GetString(field.Value.Span);
        var text = field.IsNamed(ResultsName) ? value.IndexOf(';') is >= 0 and var end ? value[..end] : value : value;
        return TagList.Parse(text)?.Compact("i") is { } instance && int.TryParse(instance, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? number : 0;
    }
}
