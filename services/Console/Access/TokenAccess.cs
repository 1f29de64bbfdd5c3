using System.Net;
using System.Threading.RateLimiting;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Options;

namespace MailPipeline.Console.Access;

/// <summary>Who is let in: in which order a request is looked at, and what each scope is asked for.</summary>
internal static class TokenAccess
{
    private const string Limit = "console";

    public static void AddTokenAccess(this IServiceCollection services)
    {
        services.AddAuthentication(TokenAuthentication.Scheme).AddScheme<AuthenticationSchemeOptions, TokenAuthentication>(TokenAuthentication.Scheme, null);
        services.AddAuthorization(policies =>
        {
            foreach (var scope in Enum.GetValues<ApiScopes>().Where(scope => scope != ApiScopes.None))
                policies.AddPolicy(PolicyOf(scope), policy => policy.RequireAssertion(request => request.User.Identity is ApiCaller caller && caller.Token.Scopes.HasFlag(scope)));
        });
        services.AddRateLimiter(limiter =>
        {
            limiter.RejectionStatusCode = StatusCodes.Status429TooManyRequests;
            limiter.AddPolicy(Limit, context =>
            {
                var settings = context.RequestServices.GetRequiredService<IOptions<ConsoleOptions>>().Value;
                return RateLimitPartition.GetTokenBucketLimiter(NetworkOf(context), _ => new TokenBucketRateLimiterOptions
                {
                    TokenLimit = settings.RequestBurst,
                    TokensPerPeriod = settings.RequestsPerSecond,
                    ReplenishmentPeriod = TimeSpan.FromSeconds(1),
                });
            });
        });
    }

    /// <summary>Before anything is asked of the store: how many requests, and in clear text from where.</summary>
    public static void UseTokenAccess(this WebApplication app)
    {
        app.UseRateLimiter();
        app.UseAuthentication();
        app.UseAuthorization();
    }

    /// <summary>Of all that is mapped in the group: limited in number, and answered to nobody who gives his token away on the way.</summary>
    public static RouteGroupBuilder GuardAccess(this RouteGroupBuilder group)
    {
        group.RequireRateLimiting(Limit);
        group.RequireAuthorization();
        return group;
    }

    /// <summary>Asks for a token with this scope.</summary>
    public static RouteHandlerBuilder RequireScope(this RouteHandlerBuilder route, ApiScopes scope) => route.RequireAuthorization(PolicyOf(scope));

    /// <summary>Whether who asks can be answered without others on the way reading the token.</summary>
    public static bool IsPrivate(HttpContext context, ConsoleOptions settings) =>
        context.Request.IsHttps || settings.AllowClearText || context.Connection.RemoteIpAddress is { } client && IPAddress.IsLoopback(HostAddress.Plain(client));

    private static string PolicyOf(ApiScopes scope) => scope.ToString();

    // An IPv6 client has a network of its own, and as many addresses in it as it likes.
    private static string NetworkOf(HttpContext context)
    {
        if (context.Connection.RemoteIpAddress is not { } address)
            return "";
        address = HostAddress.Plain(address);
        var bytes = address.GetAddressBytes();
        return bytes.Length == 4 ? address.ToString() : Convert.ToHexString(bytes.AsSpan(0, 8));
    }
}
