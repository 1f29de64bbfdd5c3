using System.Diagnostics;
using MailPipeline.Administration;
using MailPipeline.Console.Access;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Console.Api;

/// <param name="HasMore">There are earlier ones that are not here.</param>
internal sealed record ActsView(IReadOnlyList<ActView> Entries, bool HasMore);

/// <param name="SetBy">An operator, or the rule of a limit.</param>
internal sealed record BanView(string Network, DateTimeOffset Since, DateTimeOffset Until, string SetBy, string Reason)
{
    public static BanView Of(Ban ban) => new(ban.Network.ToString(), ban.Since, ban.Until, ban.SetBy, ban.Reason);
}

internal sealed record BansView(IReadOnlyList<BanView> Bans, bool HasMore);

/// <param name="Network">An IP address, or a network such as 192.0.2.0/24.</param>
/// <param name="For">30m, 12h, 7d; a day where nothing is said.</param>
internal sealed record NewBan(string Network, string For = "1d", string Reason = "");

/// <param name="Domain">What it is for; empty: everything.</param>
/// <param name="Until">Null: until it is removed.</param>
/// <param name="UsedAt">To within a minute; null: never.</param>
internal sealed record TokenView(
    string Name, IReadOnlyList<string> Scopes, string Domain, string Account, DateTimeOffset MadeAt, string MadeBy, DateTimeOffset? Until, DateTimeOffset? UsedAt)
{
    public static TokenView Of(ApiToken token) => new(
        token.Name, [.. Enum.GetValues<ApiScopes>().Where(scope => scope != ApiScopes.None && token.Scopes.HasFlag(scope)).Select(Words.Of)],
        token.Domain, token.AccountAddress, token.MadeAt, token.MadeBy, token.UntilAt, token.UsedAt);
}

/// <param name="Scopes">read, operate, administer, send.</param>
/// <param name="Of">A domain or an account of ours; everything where nothing is said.</param>
/// <param name="For">12h, 90d; until it is removed where nothing is said.</param>
internal sealed record NewToken(string Name, IReadOnlyList<string> Scopes, string Of = "", string? For = null);

/// <param name="Secret">The token itself, which is shown this once.</param>
internal sealed record TokenMadeView(TokenView Token, string Secret);

/// <summary>What is the affair of those who run all of it: what they did, whom nobody serves, and tokens.</summary>
internal static class OperatorRoutes
{
    private static readonly TimeSpan s_longestBan = TimeSpan.FromDays(366);

    public static void Map(RouteGroupBuilder api)
    {
        var operators = api.MapGroup("").WithTags("Operators").AddEndpointFilter(async (call, next) => ApiCaller.Of(call.HttpContext).Token.IsForAll
            ? await next(call) : Problem.Forbidden("The token is for a domain or an account alone, and this is of the whole system"));

        operators.MapGet("/audit", ListActsAsync).RequireScope(ApiScopes.Read).WithSummary("What operators did, the last ones in order").Produces<ActsView>().ProducesProblem(422);

        operators.MapGet("/bans", ListBansAsync).RequireScope(ApiScopes.Read).WithSummary("Client networks that nobody serves").Produces<BansView>();
        operators.MapPost("/bans", AddBanAsync).RequireScope(ApiScopes.Operate).AcceptsKey().WithSummary("Serve nobody from there for a time").Produces<BanView>(201).ProducesProblem(422);
        operators.MapDelete("/bans/{network}/{bits:int}", async (string network, int bits, Bans bans, HttpContext context) =>
            Answer(await bans.LiftAsync($"{network}/{bits}", ApiCaller.OperatorOf(context))))
            .RequireScope(ApiScopes.Operate).WithSummary("Serve them again").Produces<BanView>().ProducesProblem(404);

        operators.MapGet("/tokens", async (ApiTokens tokens, string? cursor, int? limit, CancellationToken cancellation) =>
            Page.Of((await tokens.ListAsync(cancellation)).Select(TokenView.Of), token => token.Name, cursor, limit))
            .RequireScope(ApiScopes.Administer).WithSummary("Tokens, without what is secret of them").Produces<Page<TokenView>>();
        operators.MapPost("/tokens", AddTokenAsync).RequireScope(ApiScopes.Administer).WithSummary("Make a token, which is shown this once").Produces<TokenMadeView>(201).ProducesProblem(409).ProducesProblem(422);
        operators.MapDelete("/tokens/{name}", async (string name, ApiTokens tokens, HttpContext context) => Answer(await tokens.RemoveAsync(name, ApiCaller.OperatorOf(context))))
            .RequireScope(ApiScopes.Administer).WithSummary("Let nobody in by it any more").Produces<TokenView>().ProducesProblem(404);
    }

    private static async Task<IResult> ListActsAsync(AuditTrail audit, DateTimeOffset? since, DateTimeOffset? until, int? limit, CancellationToken cancellation)
    {
        if (Page.Refuse(limit) is { } refused)
            return refused;
        var found = await audit.ListAsync(since ?? DateTimeOffset.UnixEpoch, limit ?? Page<object>.Default, cancellation, until);
        return TypedResults.Ok(new ActsView([.. found.Entries.Select(ActView.Of)], found.HasMore));
    }

    private static async Task<IResult> ListBansAsync(Bans bans, CancellationToken cancellation)
    {
        var found = await bans.ListAsync(Page<object>.Most, cancellation);
        return TypedResults.Ok(new BansView([.. found.Bans.Select(BanView.Of)], found.HasMore));
    }

    private static async Task<IResult> AddBanAsync(NewBan wanted, Bans bans, HttpContext context) =>
        !Units.TryParseTime(wanted.For, out var time) || time <= TimeSpan.Zero || time > s_longestBan
            ? Problem.Invalid("notATime", $"It must be {Units.TimeForm}, up to {s_longestBan.TotalDays:0}d", "for")
            : Answer(await bans.AddAsync(wanted.Network, time, wanted.Reason, ApiCaller.OperatorOf(context)));

    private static async Task<IResult> AddTokenAsync(NewToken wanted, ApiTokens tokens, TimeProvider time, HttpContext context, CancellationToken cancellation)
    {
        var scopes = ApiScopes.None;
        foreach (var word in wanted.Scopes)
        {
            if (Words.Parse<ApiScopes>(word) is not { } scope || scope == ApiScopes.None)
                return Problem.Invalid("notAScope", $"'{word}' must be one of read, operate, administer, send", "scopes");
            scopes |= scope;
        }
        // Nobody gives away what he has not.
        if ((scopes & ~ApiCaller.Of(context).Token.Scopes) != ApiScopes.None)
            return Problem.Forbidden($"The token has not itself the scopes {(scopes & ~ApiCaller.Of(context).Token.Scopes).ToString().ToLowerInvariant()}");
        TimeSpan? lasts = null;
        if (wanted.For is not null)
        {
            if (!Units.TryParseTime(wanted.For, out var parsed))
                return Problem.Invalid("notATime", $"It must be {Units.TimeForm}", "for");
            lasts = parsed;
        }
        if (ApiCaller.Of(context).Token.UntilAt is { } end && (lasts is null || time.GetUtcNow() + lasts > end))
            return Problem.Forbidden("The token itself ends before the one that it would make");
        return Answer(await tokens.MakeAsync(wanted.Name, scopes, wanted.Of, lasts, ApiCaller.OperatorOf(context), cancellation));
    }

    private static IResult Answer(BanResult result) => result switch
    {
        BanAdded added => TypedResults.Created((string?)null, BanView.Of(added.Ban)),
        BanLifted lifted => TypedResults.Ok(BanView.Of(lifted.Lifted)),
        NoSuchBan missing => Problem.NotFound("noSuchBan", $"{missing.Network} is not banned"),
        NotANetwork typed => Problem.Invalid("notANetwork", $"'{typed.Typed}' is no IP address and no network from /8 on (IPv6: /16)", "network"),
        _ => throw new UnreachableException($"{result.GetType().Name} has no answer"),
    };

    private static IResult Answer(TokenResult result) => result switch
    {
        TokenMade made => TypedResults.Created((string?)null, new TokenMadeView(TokenView.Of(made.Token), made.Secret)),
        TokenRemoved removed => TypedResults.Ok(TokenView.Of(removed.Token)),
        TokenAlreadyThere there => Problem.Conflict("tokenAlreadyThere", $"There is a token '{there.Name}', or there are {ApiTokenStore.MaxTokens} others"),
        NoSuchToken missing => Problem.NotFound("noSuchToken", $"There is no token '{missing.Name}'"),
        TokenForNobody nobody => Problem.Invalid("tokenForNobody", $"'{nobody.Of}' is no domain and no account of ours", "of"),
        NotATokenName name => Problem.Invalid("notATokenName", $"It must be up to {name.MaxLength} letters, digits, '-', '.' and '_'", "name"),
        NoScopes => Problem.Invalid("noScopes", "There must be at least one", "scopes"),
        NotATokenTime time => Problem.Invalid("notATime", $"It must be more than nothing, and up to {time.Longest.TotalDays:0}d", "for"),
        ScopeForAllOnly all => Problem.Invalid("scopeForAllOnly", $"{Words.Of(all.Scopes)} goes without {(all.Scopes == ApiScopes.Operate ? "a domain or an account" : "an account")}", "of"),
        _ => throw new UnreachableException($"{result.GetType().Name} has no answer"),
    };
}
