using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// The addresses that a user sends as: his account's, with a detail or in a domain that stands for its own as well, or one that leads to it and
/// is nobody else's account. What a catch-all leads to him is only what nothing else has.
/// </summary>
internal sealed class OwnAddresses(AddressResolver addresses)
{
    public async ValueTask<bool> HasAsync(Account account, SmtpAddress address, CancellationToken cancellation)
    {
        var text = address.Canonical;
        return await addresses.FindAccountAsync(text, cancellation) is { } owner
            ? owner.Id == account.Id
            : (await addresses.ResolveAsync(text, cancellation)).LeadsTo(account);
    }

    /// <summary>The first that is not the user's; null: all are.</summary>
    public async ValueTask<string?> FindForeignAsync(Account account, IReadOnlyList<string> texts, CancellationToken cancellation)
    {
        foreach (var text in texts.Distinct(StringComparer.OrdinalIgnoreCase))
        {
            if (!SmtpAddress.TryParse(text, out var address, allowUtf8: true) || !await HasAsync(account, address!, cancellation))
                return text;
        }

        return null;
    }
}
