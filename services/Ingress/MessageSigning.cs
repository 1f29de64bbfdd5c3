using System.Text;
using MailPipeline.Authentication;
using MailPipeline.Authentication.Dkim;
using MailPipeline.Ingress.Checks;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;
using MailPipeline.Storage;
using Microsoft.Extensions.Options;
using MimeKit;

namespace MailPipeline.Ingress;

/// <summary>
/// Signs messages when they are accepted, once, over the octets that are stored (RFC 6376 §5): those of our users and of listed clients, by the
/// keys of the domain in From, where the user may write as that author; and those that an alias leads to another system, by the keys of the alias's domain, with an ARC set that says what we found
/// of them (RFC 8617 §5.1).
/// </summary>
internal sealed partial class MessageSigning(
    SigningKeys keys, MailDirectory directory, OwnAddresses own, IOptions<IngressOptions> options, ILogger<MessageSigning> log)
{
    private const string ResultsName = "Authentication-Results";

    /// <summary>Who reads the content that comes now, to sign it when it has ended; null where nothing is to be signed.</summary>
    public SignableContent? Begin(CheckContext context)
    {
        if (context.MayRelay && !context.IsForMaildrops)
        {
            if (keys.HasAny)
                return new SignableContent();
            if (context.Account is { } account)
                keys.NoteUnsigned(account.Address[(account.Address.LastIndexOf('@') + 1)..]);
            return null;
        }

        return context.ForwardingDomains.Any(domain => keys.Of(domain).Count > 0) ? new SignableContent() : null;
    }

    /// <summary>Puts signatures in front of all that is in front of the content.</summary>
    /// <param name="signatures">What was found of those that it came with; null where nobody looked.</param>
    public async ValueTask SignAsync(
        SignableContent content, MessagePrefix prefix, CheckContext context, MessageNote? note, MessageSignatures? signatures, DateTimeOffset now)
    {
        if (content.IsHeaderTooLong)
            return;
        var header = content.HeaderBelow(prefix.ToBytes());
        if (context.MayRelay && !context.IsForMaildrops)
        {
            if (AuthorDomain(header) is not { } author)
                return;
            if (keys.Of(author) is not { Count: > 0 } ofAuthor)
                await NoteUnsignedAsync(author);
            else if (context.Account is not { } account || await IsAuthorAsync(account, header))
                AddIfRoom(prefix, content.Sign(header, ofAuthor, now));
            else
                LogNotTheAuthor(log, LogText.Address(account.Address), author);
            return;
        }

        // One of them vouches: the alias that was named first.
        if (context.ForwardingDomains.Select(keys.Of).FirstOrDefault(some => some.Count > 0) is not { } forwarding)
            return;
        AddIfRoom(prefix, content.Sign(header, forwarding, now));
        if (signatures is not null)
            AddIfRoom(prefix, content.Seal(content.HeaderBelow(prefix.ToBytes()), signatures.Arc, ResultsOf(note, signatures), forwarding[0], now));
    }

    /// <summary>
    /// Every author in From is the user, by the rule of <see cref="OwnAddresses"/>: a signature says that the domain answers for it, and where users may
    /// write as anybody (<see cref="OwnAuthorOptions.AllowForeign"/>) one of them would have all domains of ours answer for him.
    /// </summary>
    private async ValueTask<bool> IsAuthorAsync(Account account, MessageHeader header)
    {
        try
        {
            return header.Named("from") is [var from] && AuthorAddresses.Of(from.Value) is { Count: > 0 and <= AuthorAddresses.Max } authors
                && await own.FindForeignAsync(account, authors, SmtpConnection.Uninterrupted) is null;
        }
        catch (StorageUnavailableException)
        {
            // It is not accepted either.
            return false;
        }
    }

    /// <summary>A message is worth more than its signature: where there is no room for that, it goes on without.</summary>
    private static void AddIfRoom(MessagePrefix prefix, byte[] fields)
    {
        if (fields.Length <= MessagePrefix.MaxBytes - prefix.SizeBytes)
            prefix.Add(fields);
    }

    /// <summary>A domain that is none of ours has its keys elsewhere.</summary>
    private async ValueTask NoteUnsignedAsync(string domain)
    {
        try
        {
            if (await directory.FindDomainAsync(domain, SmtpConnection.Uninterrupted) is not null)
                keys.NoteUnsigned(domain);
        }
        catch (StorageUnavailableException)
        {
            // It is said of the next message.
        }
    }

    /// <summary>The domain of the first address in From; null where there is none that can be read.</summary>
    private static string? AuthorDomain(MessageHeader header)
    {
        if (header.Named("from") is not [var from, ..] || !InternetAddressList.TryParse(from.Value.ToArray(), out var authors))
            return null;
        var address = authors.Mailboxes.FirstOrDefault()?.Address ?? "";
        var at = address.LastIndexOf('@');
        return at < 0 ? null : DomainName.ToAscii(address[(at + 1)..]);
    }

    /// <summary>What stands in our Authentication-Results field; where no check puts one in front, what is known of signatures.</summary>
    private string ResultsOf(MessageNote? note, MessageSignatures signatures)
    {
        if (note?.Fields.FirstOrDefault(field => field.Name.Equals(ResultsName, StringComparison.OrdinalIgnoreCase)) is { Name.Length: > 0 } field)
            return field.Value;
        var results = new StringBuilder(options.Value.AuthservId);
        foreach (var found in signatures.Dkim)
            results.Append("; dkim=").Append(AuthenticationWords.Of(found.Status)).Append(found.Domain.Length > 0 ? $" header.d={found.Domain} header.s={found.Selector}" : "");
        return results.Append("; arc=").Append(AuthenticationWords.Of(signatures.Arc.Status)).ToString();
    }

    [LoggerMessage(1057, LogLevel.Information, "account={Account} status=unsigned domain={Domain}: From names an author that is not the user")]
    private static partial void LogNotTheAuthor(ILogger log, string account, string domain);
}
