using System.Net;
using MailPipeline.Sasl;

namespace MailPipeline.Mail;

/// <summary>
/// Logins by token. A token that is not taken counts as a wrong password does, for the name and where it came from; one that the issuer has
/// not signed counts there for all names as well that have not logged in from there. In a pause only the token is looked at by which the user
/// came before.
/// </summary>
/// <param name="remembered">Tokens that were right.</param>
/// <param name="digest">Of a token, under a key of this process.</param>
internal sealed class TokenLogins(
    MailDirectory directory, TokenVerifier tokens, LoginHistory history, RememberedLogins remembered, Func<string, byte[]> digest)
{
    /// <summary>Forged tokens of a network are counted under this name, which nobody has.</summary>
    private const string Anybody = "";

    private readonly Lock _judging = new();

    /// <exception cref="OperationCanceledException">The client has left.</exception>
    public async ValueTask<Verification> VerifyAsync(TokenClaim claim, IPNetwork prefix, CancellationToken left)
    {
        // Who asks where to get one has guessed nothing.
        if (claim.Token.Length == 0)
            return Verification.Refused with { Reason = "no token was given" };
        var name = (claim.UserName.Length > 0 ? claim.UserName : tokens.NameIn(claim.Token)).ToLowerInvariant();
        if (name.Length > CredentialVerifier.MaxNameLength)
            return Verification.Refused;
        var account = name.Length == 0 ? null : await directory.FindAccountAsync(name, CancellationToken.None);
        var key = digest(claim.Token);
        var isRemembered = account is not null && remembered.Has(account.Id, account.Password, key);
        if (IsPaused(name, prefix) && !(isRemembered && history.MayGlance(name, prefix)))
            return Verification.Busy;

        var look = await tokens.LookAsync(claim.Token, left);
        if (look.IsUnknown)
            return Verification.Busy;
        var refusal = look.Refusal
            ?? (!look.UserName.Equals(name, StringComparison.OrdinalIgnoreCase) ? "of another user"
            : account is null ? "of a user without an account"
            : null);
        lock (_judging)
        {
            if (refusal is not null)
            {
                // Those that come together pause together.
                if (IsPaused(name, prefix))
                    return Verification.Busy;
                history.Failed(name, prefix);
                if (look.IsForged && name != Anybody)
                    history.Failed(Anybody, prefix);
                return Verification.Refused with { Reason = $"the token is {refusal}" };
            }

            if (isRemembered)
                history.SucceededAgain(name, prefix);
            else
                history.Succeeded(name, prefix);
            remembered.Add(account!.Id, account.Password, key);
            return new Verification(account, IsBusy: false);
        }
    }

    private bool IsPaused(string name, IPNetwork prefix) =>
        history.IsPaused(name, prefix) || (history.IsPaused(Anybody, prefix) && !history.HasSucceeded(name, prefix));
}
