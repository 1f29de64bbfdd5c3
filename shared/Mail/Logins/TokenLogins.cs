using System.Net;
using MailPipeline.Sasl;

namespace MailPipeline.Mail;

/// <summary>
/// Logins by token. One that the issuer has not signed counts as a wrong password does, for the name and where it came from. Nobody guesses a
/// signature, so that no pause is in the way of a token that is right, nor is one begun by a token that has expired or is for somebody else.
/// </summary>
internal sealed class TokenLogins(MailDirectory directory, TokenVerifier tokens, LoginHistory history, SharedLoginHistory others)
{
    /// <exception cref="OperationCanceledException">The client has left.</exception>
    public async ValueTask<Verification> VerifyAsync(TokenClaim claim, IPNetwork prefix, CancellationToken left)
    {
        // Who asks where to get one has guessed nothing.
        if (claim.Token.Length == 0)
            return Verification.Refused with { Reason = "no token was given" };
        var typed = claim.UserName.Length > 0 ? claim.UserName : tokens.NameIn(claim.Token);
        if (typed.Length > CredentialVerifier.MaxNameLength)
            return Verification.Refused;
        var look = await tokens.LookAsync(claim.Token, left);
        if (look.IsUnknown)
            return Verification.Busy;
        var name = MailDirectory.Normalize(typed);
        var account = name.Length == 0 ? null : await directory.FindAccountAsync(name, CancellationToken.None);
        var refusal = look.Refusal
            ?? (MailDirectory.Normalize(look.UserName) != name ? "of another user"
            : account is null ? "of a user without an account"
            : null);
        if (refusal is null)
        {
            // It ends what failed there, at whatever process that was.
            await others.LearnAsync(name, prefix);
            if (history.Succeeded(name, prefix))
                await others.TellLoginAsync(name, prefix);
            return new Verification(account, IsBusy: false);
        }

        if (look.IsForged)
        {
            history.Failed(name, prefix);
            await others.TellFailureAsync(name, prefix);
        }

        return Verification.Refused with { Reason = $"the token is {refusal}" };
    }
}
