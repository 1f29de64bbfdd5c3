using System.Security.Claims;
using MailPipeline.Administration;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;

namespace MailPipeline.Console.Access;

/// <summary>Who makes a request, and what belongs to him.</summary>
internal sealed class ApiCaller : ClaimsIdentity
{
    private readonly ApiTokens _tokens;

    private ApiCaller(ApiToken token, ApiTokens tokens)
        : base(TokenAuthentication.Scheme) => (Token, _tokens) = (token, tokens);

    public ApiToken Token { get; }

    public static ClaimsPrincipal PrincipalOf(ApiToken token, ApiTokens tokens) => new(new ApiCaller(token, tokens));

    /// <exception cref="InvalidOperationException">The request was let in without a token.</exception>
    public static ApiCaller Of(HttpContext context) =>
        context.User.Identity as ApiCaller ?? throw new InvalidOperationException("The request has no token");

    /// <summary>As whom his acts are noted.</summary>
    public static OperatorIdentity OperatorOf(HttpContext context) =>
        new($"token {Of(context).Token.Name}", context.Connection.RemoteIpAddress is { } address ? HostAddress.Plain(address).ToString() : "");

    /// <summary>Whether a domain of ours is his business.</summary>
    public bool MaySeeDomain(string domain) => Token.AccountAddress.Length == 0 && (Token.Domain.Length == 0 || Token.Domain == domain);

    /// <summary>Whether an address is his business: his account's, or one of his domain.</summary>
    /// <param name="address">Or "@example.org" for all of a domain; in any case of letters, in U-labels or in A-labels.</param>
    public bool MaySeeAddress(string address) => Token.IsForAll
        || (Token.AccountAddress.Length > 0 ? _tokens.IsOfAccount(address, Token.AccountAddress) : MaySeeDomain(DomainName.Key(MailNames.DomainOf(address))));
}
