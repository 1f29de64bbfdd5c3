using System.Net;
using System.Threading.RateLimiting;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.HttpOverrides;
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
            limiter.OnRejected = (rejected, _) =>
            {
                rejected.HttpContext.Response.Headers.RetryAfter = "1";
                return ValueTask.CompletedTask;
            };
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

    /// <summary>In this order: whom a proxy names, how many requests he may make, and only then whether the store knows his token.</summary>
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
        group.WithMetadata(new TokenAuthentication.AsksForToken());
        group.RequireAuthorization();
        return group;
    }

    /// <summary>Limits the number of requests alone.</summary>
    public static RouteHandlerBuilder LimitRequests(this RouteHandlerBuilder route) => route.RequireRateLimiting(Limit);

    /// <summary>Asks for a token with this scope.</summary>
    public static RouteHandlerBuilder RequireScope(this RouteHandlerBuilder route, ApiScopes scope) => route.WithMetadata(new ScopeAsked(scope)).RequireAuthorization(PolicyOf(scope));

    /// <summary>Takes a client for whom a trusted proxy names, and what he speaks for what it names.</summary>
    public static ForwardedHeadersOptions ForwardedBy(ConsoleOptions settings)
    {
        var options = new ForwardedHeadersOptions { ForwardedHeaders = ForwardedHeaders.XForwardedFor | ForwardedHeaders.XForwardedProto, ForwardLimit = null };
        options.KnownProxies.Clear();
        options.KnownIPNetworks.Clear();
        foreach (var proxy in settings.TrustedProxies)
        {
            // The settings are checked.
            if (ConsoleOptions.TryParseNetwork(proxy, out var network))
                options.KnownIPNetworks.Add(network);
        }
        return options;
    }

    /// <summary>Whether who asks can be answered without others on the way reading the token.</summary>
    public static bool IsPrivate(HttpContext context) =>
        context.Request.IsHttps
        // A proxy on this machine that nobody has said to be trusted speaks for who knows whom.
        || !context.Request.Headers.ContainsKey(ForwardedHeadersDefaults.XForwardedForHeaderName)
            && !context.Request.Headers.ContainsKey(ForwardedHeadersDefaults.XOriginalForHeaderName)
            && context.Connection.RemoteIpAddress is { } client && IPAddress.IsLoopback(HostAddress.Plain(client));

    /// <summary>The scope that an endpoint asks for, which its document says.</summary>
    internal sealed record ScopeAsked(ApiScopes Scope);

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
