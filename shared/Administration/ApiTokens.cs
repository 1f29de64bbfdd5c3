using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Administration;

/// <summary>What became of a token: one of the records in this file, and of no others.</summary>
public abstract record TokenResult
{
    private protected TokenResult(ActStatus status) => Status = status;

    public ActStatus Status { get; }
}

/// <param name="Secret">The token itself. It is shown this once: nobody can find it out again.</param>
public sealed record TokenMade(ApiToken Token, string Secret) : TokenResult(ActStatus.Done);

public sealed record TokenRemoved(ApiToken Token) : TokenResult(ActStatus.Done);

public sealed record TokenAlreadyThere(string Name) : TokenResult(ActStatus.NotDone);

public sealed record NoSuchToken(string Name) : TokenResult(ActStatus.NotDone);

/// <summary>There is no such domain or account, so that the token would be for nothing.</summary>
public sealed record TokenForNobody(string Of) : TokenResult(ActStatus.NotDone);

public sealed record NotATokenName(string Typed, int MaxLength) : TokenResult(ActStatus.Refused);

/// <summary>It would let its bearer do nothing.</summary>
public sealed record NoScopes() : TokenResult(ActStatus.Refused);

/// <summary>A token ends later than now, and within ten years.</summary>
public sealed record NotATokenTime(TimeSpan Longest) : TokenResult(ActStatus.Refused);

/// <summary>What operators and servers do has no domain: such a token can only be for everything.</summary>
public sealed record ScopeForAllOnly(ApiScopes Scopes) : TokenResult(ActStatus.Refused);

/// <summary>Tokens by which programs come to these acts over the network.</summary>
public sealed class ApiTokens(ApiTokenStore store, MailDirectory directory, TimeProvider time)
{
    public const int MaxNameLength = 64;

    private static readonly TimeSpan s_longest = TimeSpan.FromDays(3660);

    public Task<IReadOnlyList<ApiToken>> ListAsync(CancellationToken cancellation) => store.ListAsync(cancellation);

    /// <summary>The token that this is, if it is one that has not ended.</summary>
    public Task<ApiToken?> FindAsync(string secret, CancellationToken cancellation) => store.FindAsync(secret, cancellation);

    /// <summary>Whether an address is an account's: its own, or one with a detail (RFC 5233) behind it.</summary>
    /// <param name="address">In any case of letters, in U-labels or in A-labels.</param>
    public bool IsOfAccount(string address, string account) => directory.UsersOf(MailName.Key(address)).Contains(account, StringComparer.Ordinal);

    /// <param name="name">Letters, digits and "-._", by which it is listed and removed.</param>
    /// <param name="of">A domain or an account of ours; empty: everything.</param>
    /// <param name="lasts">From now; null: until it is removed.</param>
    /// <returns><see cref="TokenMade"/>, or why not.</returns>
    public async Task<TokenResult> MakeAsync(
        string name, ApiScopes scopes, string of, TimeSpan? lasts, OperatorIdentity by, CancellationToken cancellation)
    {
        if (!IsName(name))
            return new NotATokenName(name, MaxNameLength);
        if (scopes == ApiScopes.None)
            return new NoScopes();
        if (lasts <= TimeSpan.Zero || lasts > s_longest)
            return new NotATokenTime(s_longest);
        var (domain, account) = ("", "");
        if (of.Length > 0)
        {
            if (scopes.HasFlag(ApiScopes.Operate))
                return new ScopeForAllOnly(ApiScopes.Operate);
            if (of.Contains('@', StringComparison.Ordinal))
            {
                if (MailNames.Address(of, out account) is not null || await directory.FindAccountAsync(account, cancellation) is null)
                    return new TokenForNobody(of);
                if (scopes.HasFlag(ApiScopes.Administer))
                    return new ScopeForAllOnly(ApiScopes.Administer);
            }
            else if (MailNames.Domain(of, out domain) is not null || await directory.FindDomainAsync(domain, cancellation) is null)
            {
                return new TokenForNobody(of);
            }
        }
        var now = time.GetUtcNow();
        var secret = TokenText.Create();
        var token = new ApiToken(name, scopes, domain, account, now, by.Name, now + lasts, null);
        return await store.AddAsync(token, secret, by) ? new TokenMade(token, secret) : new TokenAlreadyThere(name);
    }

    /// <returns><see cref="TokenRemoved"/>, or why not.</returns>
    public async Task<TokenResult> RemoveAsync(string name, OperatorIdentity by) =>
        await store.RemoveAsync(name, by) is { } removed ? new TokenRemoved(removed) : new NoSuchToken(name);

    private static bool IsName(string name) =>
        name.Length is > 0 and <= MaxNameLength && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '.' or '_');
}
