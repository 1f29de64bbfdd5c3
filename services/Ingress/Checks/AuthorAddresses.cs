using MimeKit;

namespace MailPipeline.Ingress.Checks;

/// <summary>The addresses in a field From or Sender of a submitted message.</summary>
internal static class AuthorAddresses
{
    /// <summary>Of one message: each costs a look into the directory.</summary>
    public const int Max = 50;

    private static readonly ParserOptions s_strict = new()
    {
        AddressParserComplianceMode = RfcComplianceMode.Strict,
        AllowAddressesWithoutDomain = false,
        AllowUnquotedCommasInAddresses = false,
        MaxAddressGroupDepth = 1,
    };

    /// <summary>Those of groups as well (RFC 6854); null where the field is no list of addresses.</summary>
    public static List<string>? Of(ReadOnlyMemory<byte> field) =>
        Parse(field.Span) is { } list ? [.. list.Mailboxes.Select(mailbox => mailbox.GetAddress(idnEncode: true))] : OfUnquotedName(field.Span);

    // Not TryParse, which forgives a group that is not ended, or is within another, and leaves its members out.
    private static InternetAddressList? Parse(ReadOnlySpan<byte> field)
    {
        try
        {
            return InternetAddressList.Parse(s_strict, field.ToArray());
        }
        catch (ParseException)
        {
            return null;
        }
    }

    /// <summary>
    /// An address behind one in the place of a name, without its quotes, as scripts write it ("ann@example.org &lt;ann@example.org&gt;"): some
    /// readers take the first for the author, so that both are. Null where the field is anything else.
    /// </summary>
    private static List<string>? OfUnquotedName(ReadOnlySpan<byte> field)
    {
        var bracket = field.IndexOf((byte)'<');
        return bracket > 0
            && Parse(field[..bracket]) is [MailboxAddress first] && Parse(field[bracket..]) is [MailboxAddress second]
            ? [first.GetAddress(idnEncode: true), second.GetAddress(idnEncode: true)]
            : null;
    }
}
