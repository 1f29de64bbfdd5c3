using System.Text.Encodings.Web;
using MailPipeline.Administration;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;

namespace MailPipeline.Console.Access;

/// <summary>Bearer tokens (RFC 6750): in the field Authorization, and nowhere else, so that none is ever in a log of addresses.</summary>
internal sealed class TokenAuthentication(IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory loggers, UrlEncoder encoder, ApiTokens tokens)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, loggers, encoder)
{
    public new const string Scheme = "Bearer";

    private const string Start = Scheme + " ";

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        // Of nothing else a token is asked for, and so none is looked up.
        if (Context.GetEndpoint()?.Metadata.GetMetadata<AsksForToken>() is null)
            return AuthenticateResult.NoResult();
        if (Request.Headers.Authorization is not [{ } field] || !field.StartsWith(Start, StringComparison.OrdinalIgnoreCase))
            return AuthenticateResult.NoResult();
        return await tokens.FindAsync(field[Start.Length..].Trim(), Context.RequestAborted) is { } token
            ? AuthenticateResult.Success(new AuthenticationTicket(ApiCaller.PrincipalOf(token, tokens), Scheme))
            : AuthenticateResult.Fail("The token is none, or has ended");
    }

    /// <summary>The endpoint is answered to nobody without one.</summary>
    internal sealed class AsksForToken;

    // RFC 6750 §3: who gave none is told of no error.
    protected override Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        Response.StatusCode = StatusCodes.Status401Unauthorized;
        Response.Headers.Append(
            HeaderNames.WWWAuthenticate, Request.Headers.ContainsKey(HeaderNames.Authorization) ? "Bearer realm=\"mail\", error=\"invalid_token\"" : "Bearer realm=\"mail\"");
        return Task.CompletedTask;
    }
}
