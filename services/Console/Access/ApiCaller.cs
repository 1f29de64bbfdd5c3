using System.Security.Claims;
using MailPipeline.Mail;

namespace MailPipeline.Console.Access;

/// <summary>Who makes a request, and what belongs to him.</summary>
internal sealed class ApiCaller : ClaimsIdentity
{
    private ApiCaller(ApiToken token)
        : base(TokenAuthentication.Scheme) => Token = token;

    public ApiToken Token { get; }

    public static ClaimsPrincipal PrincipalOf(ApiToken token) => new(new ApiCaller(token));

    /// <exception cref="InvalidOperationException">The request was let in without a token.</exception>
    public static ApiCaller Of(HttpContext context) =>
        context.User.Identity as ApiCaller ?? throw new InvalidOperationException("The request has no token");

    /// <summary>As whom his acts are noted.</summary>
    public static OperatorIdentity OperatorOf(HttpContext context) =>
        new($"token {Of(context).Token.Name}", context.Connection.RemoteIpAddress?.ToString() ?? "");

    /// <summary>Whether a domain of ours is his business.</summary>
    public bool MaySeeDomain(string domain) => Token.AccountAddress.Length == 0 && (Token.Domain.Length == 0 || Token.Domain == domain);

    /// <summary>Whether an address is his business: his account, or one of his domain.</summary>
    public bool MaySeeAddress(string address) =>
        Token.AccountAddress.Length > 0 ? Token.AccountAddress == address : MaySeeDomain(address[(address.LastIndexOf('@') + 1)..]);
}
