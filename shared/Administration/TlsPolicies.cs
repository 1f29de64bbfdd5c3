using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Administration;

/// <summary>MTA-STS policies of other domains that the servers have fetched and hold themselves to.</summary>
public sealed class TlsPolicies(StsPolicyStore store)
{
    /// <param name="most">So many are named, by domain.</param>
    public async Task<TlsPolicyList> ListAsync(int most, CancellationToken cancellation)
    {
        var policies = await store.ListAsync(most + 1, cancellation);
        return new TlsPolicyList([.. policies.Take(most)], policies.Count > most);
    }

    /// <summary>
    /// Forgets the policy of a domain, as where its operators have lost it and cannot take it back: within minutes no server holds itself to it, unless the
    /// domain still publishes it.
    /// </summary>
    /// <param name="domain">As mail is addressed to it, in any case of letters, in U-labels or in A-labels.</param>
    /// <param name="by">Who does it; noted with the change.</param>
    public async Task<TlsPolicyResult> ForgetAsync(string domain, OperatorIdentity by)
    {
        var name = DomainName.Key(domain);
        return await store.ForgetAsync(name, by) ? new TlsPolicyForgotten(name) : new NoSuchTlsPolicy(name);
    }
}

/// <param name="HasMore">There are others besides.</param>
public sealed record TlsPolicyList(IReadOnlyList<StoredStsPolicy> Policies, bool HasMore);

/// <summary>What became of a change: one of the records in this file, and of no others.</summary>
public abstract record TlsPolicyResult
{
    private protected TlsPolicyResult(ActStatus status) => Status = status;

    public ActStatus Status { get; }
}

public sealed record TlsPolicyForgotten(string Domain) : TlsPolicyResult(ActStatus.Done);

/// <summary>No policy of the domain is known.</summary>
public sealed record NoSuchTlsPolicy(string Domain) : TlsPolicyResult(ActStatus.NotDone);
