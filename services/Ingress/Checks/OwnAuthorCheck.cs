using MailPipeline.Ingress.Headers;
using MailPipeline.Mail;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// A submitted message is from whom it says it is (RFC 6409 §6.1, §8): all addresses of its From field, and that of its Sender, are the user's,
/// by the rule of <see cref="OwnAddresses"/>. One field of each name, that keeps to the grammar: readers make different things of what does not.
/// <see cref="OwnAuthorOptions.AllowForeign"/> switches it off.
/// </summary>
internal sealed class OwnAuthorCheck(OwnAddresses own, IOptions<IngressOptions> options) : ICheck
{
    /// <summary>Longest part of an address that a reply shows.</summary>
    private const int MaxShown = 200;

    private static readonly Verdict s_noFrom = Refused("The message has no From field");
    private static readonly Verdict s_moreThanOne = Refused("The message has more than one From or Sender field");
    private static readonly Verdict s_tooLong = Refused($"The From or Sender field is longer than {SubmittedFields.MaxAuthorBytes} octets, or its name than a line");
    private static readonly Verdict s_tooMany = Refused($"The From field names more than {AuthorAddresses.Max} addresses");
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
            if (AuthorAddresses.Of(fields.From) is not { Count: > 0 } authors)
                return s_unreadableFrom;
            if (authors.Count > AuthorAddresses.Max)
                return s_tooMany;
            if (await FindForeignAsync(account, authors, cancellation) is { } foreign)
                return Refused($"The From field names {foreign}, which is no address of yours");
        }

        if (fields.SenderCount == 0)
            return Verdict.GoOn;
        if (AuthorAddresses.Of(fields.Sender) is not { } sender || sender.Distinct(StringComparer.OrdinalIgnoreCase).Count() != 1)
            return s_unreadableSender;
        return await FindForeignAsync(account, sender, cancellation) is { } other
            ? Refused($"The Sender field names {other}, which is no address of yours")
            : Verdict.GoOn;
    }

    /// <summary>The first that is not the user's, as a reply can show it; null: all are.</summary>
    private async ValueTask<string?> FindForeignAsync(Account account, IReadOnlyList<string> addresses, CancellationToken cancellation) =>
        await own.FindForeignAsync(account, addresses, cancellation) is { } foreign ? PlainText.Ascii(PlainText.Cut(foreign, MaxShown)) : null;

    private static Verdict Refused(string text) => new(new SmtpReply(550, "5.7.1", text));
}
