using MailPipeline.Ingress.Headers;
using MailPipeline.Mail;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;
using MimeKit;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// A submitted message is from whom it says it is (RFC 6409 §6.1, §8): all addresses of its From field, and that of its Sender, are the user's,
/// by the rule of <see cref="OwnAddresses"/>. One field of each name, that keeps to the grammar: readers make different things of what does not.
/// <see cref="OwnAuthorOptions.AllowForeign"/> switches it off.
/// </summary>
internal sealed class OwnAuthorCheck(OwnAddresses own, IOptions<IngressOptions> options) : ICheck
{
    /// <summary>Authors of one message: each costs a look into the directory.</summary>
    private const int MaxAuthors = 50;

    /// <summary>Longest part of an address that a reply shows.</summary>
    private const int MaxShown = 200;

    private static readonly ParserOptions s_strict = new()
    {
        AddressParserComplianceMode = RfcComplianceMode.Strict,
        AllowAddressesWithoutDomain = false,
        AllowUnquotedCommasInAddresses = false,
        MaxAddressGroupDepth = 1,
    };

    private static readonly Verdict s_noFrom = Refused("The message has no From field");
    private static readonly Verdict s_moreThanOne = Refused("The message has more than one From or Sender field");
    private static readonly Verdict s_tooLong = Refused($"The From or Sender field is longer than {SubmittedFields.MaxAuthorBytes} octets");
    private static readonly Verdict s_tooMany = Refused($"The From field names more than {MaxAuthors} addresses");
    private static readonly Verdict s_unreadableFrom = Refused("The From field must be one or more addresses; a name with special characters needs quotes");
    private static readonly Verdict s_unreadableSender = Refused("The Sender field must be one address; a name with special characters needs quotes");

    // RFC 5322 §3.6.2 would have a Sender beside several authors, who need not be the user then. Here each of them is.
    public async ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation)
    {
        if (context.Account is not { } account)
            return Verdict.GoOn;
        var fields = context.Content.Authors;
        if (fields.FromCount > 1 || fields.SenderCount > 1)
            return s_moreThanOne;
        if (fields.IsCut)
            return s_tooLong;
        if (fields.FromCount == 0 && !options.Value.AddMissingFields)
            return s_noFrom;
        // It is put in, and is what MAIL said.
        if (fields.FromCount == 0 && context.Transaction.Sender is { } named && await FindForeignAsync(account, [named.Text], cancellation) is { } notOwn)
            return Refused($"The message has no From field, and MAIL names {notOwn}, which is no address of yours");
        if (fields.FromCount == 1)
        {
            if (Addresses(fields.From) is not { Count: > 0 } authors)
                return s_unreadableFrom;
            if (authors.Count > MaxAuthors)
                return s_tooMany;
            if (await FindForeignAsync(account, authors, cancellation) is { } foreign)
                return Refused($"The From field names {foreign}, which is no address of yours");
        }

        if (fields.SenderCount == 0)
            return Verdict.GoOn;
        if (Addresses(fields.Sender) is not { } sender || sender.Distinct(StringComparer.OrdinalIgnoreCase).Count() != 1)
            return s_unreadableSender;
        return await FindForeignAsync(account, sender, cancellation) is { } other
            ? Refused($"The Sender field names {other}, which is no address of yours")
            : Verdict.GoOn;
    }

    /// <summary>Those of groups as well (RFC 6854); null where the field is no list of addresses.</summary>
    private static List<string>? Addresses(ReadOnlyMemory<byte> field) =>
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

    /// <summary>The first that is not the user's, as a reply can show it; null: all are.</summary>
    private async ValueTask<string?> FindForeignAsync(Account account, List<string> addresses, CancellationToken cancellation)
    {
        foreach (var text in addresses.Distinct(StringComparer.OrdinalIgnoreCase))
        {
            if (!SmtpAddress.TryParse(text, out var address, allowUtf8: true) || !await own.HasAsync(account, address!, cancellation))
                return PlainText.Ascii(PlainText.Cut(text, MaxShown));
        }

        return null;
    }

    private static Verdict Refused(string text) => new(new SmtpReply(550, "5.7.1", text));
}
