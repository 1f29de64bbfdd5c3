using MailPipeline.Smtp;
using MailPipeline.Storage;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress;

/// <summary>What becomes of a recipient: refused, taken, or taken under another address.</summary>
internal readonly record struct RecipientVerdict(SmtpReply? Refusal, SmtpAddress? Redirect = null);

/// <summary>Whose mail is taken: recipients of ours from anybody, any other only for those who may relay.</summary>
internal sealed class AddressPolicy(MailDirectory directory, IOptions<IngressOptions> options)
{
    /// <summary>A stranger's command must not cost a look-up for each of very many domains.</summary>
    private const int MaxDomainsAsked = 10;

    private readonly SmtpAddress? _postmaster =
        options.Value.Postmaster.Length > 0 ? SmtpAddress.Parse(options.Value.Postmaster) : null;

    public async ValueTask<RecipientVerdict> CheckRecipientAsync(SmtpAddress recipient, bool mayRelay, CancellationToken cancellation)
    {
        // RFC 5321 §4.1.1.3: the bare postmaster is the one of this host.
        if (!recipient.HasDomain)
        {
            var ours = SmtpAddress.Parse($"postmaster@{options.Value.Hostname}");
            return await IsKnownAsync(ours, cancellation) ? new(null, ours)
                : _postmaster is not null ? new(null, _postmaster)
                : await AnyPostmasterAsync(cancellation);
        }

        if (recipient.HasAddressLiteral || !await directory.IsLocalDomainAsync(recipient.Domain, cancellation))
            return new(mayRelay ? null : Replies.C550RelayingDenied);
        if (await IsKnownAsync(recipient, cancellation))
            return default;
        return recipient.IsPostmaster ? Postmaster() : new(Replies.C550NoSuchUser);
    }

    /// <summary>An authenticated user sends as himself: his account's address, or an alias that leads to it. Null: fine.</summary>
    public async ValueTask<SmtpReply?> CheckSenderAsync(SmtpAddress? sender, Account? account, CancellationToken cancellation)
    {
        // The null path is nobody's address; clients use it for disposition notifications (RFC 8098 §3).
        if (account is null || sender is null || options.Value.AllowForeignSenders)
            return null;

        var address = sender.Canonical;
        if (string.Equals(address, account.Address, StringComparison.OrdinalIgnoreCase))
            return null;
        return LeadsTo(await directory.FindAliasAsync(address, cancellation), account)
            || LeadsTo(await directory.FindAliasAsync("@" + sender.Domain, cancellation), account)
            ? null
            : Replies.C553SenderNotOwned;
    }

    // RFC 5321 §4.5.1: every domain of ours has a postmaster, if the operator named one.
    private RecipientVerdict Postmaster() => _postmaster is null ? new(Replies.C550NoSuchUser) : new(null, _postmaster);

    /// <summary>Nobody is named for the host as a whole: the first of our domains that has one.</summary>
    private async ValueTask<RecipientVerdict> AnyPostmasterAsync(CancellationToken cancellation)
    {
        foreach (var domain in (await directory.ListDomainsAsync(cancellation)).Take(MaxDomainsAsked))
        {
            var postmaster = SmtpAddress.Parse($"postmaster@{domain}");
            if (await IsKnownAsync(postmaster, cancellation))
                return new(null, postmaster);
        }

        return new(Replies.C550NoSuchUser);
    }

    private async ValueTask<bool> IsKnownAsync(SmtpAddress address, CancellationToken cancellation)
    {
        var key = address.Canonical;
        return await directory.FindAccountAsync(key, cancellation) is not null
            || (await directory.FindAliasAsync(key, cancellation)).Count > 0
            || (await directory.FindAliasAsync("@" + address.Domain, cancellation)).Count > 0;
    }

    private static bool LeadsTo(IReadOnlyList<string> targets, Account account)
    {
        foreach (var target in targets)
        {
            if (string.Equals(target, account.Address, StringComparison.OrdinalIgnoreCase))
                return true;
        }

        return false;
    }
}
