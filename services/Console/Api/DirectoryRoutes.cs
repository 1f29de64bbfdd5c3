using System.Diagnostics;
using MailPipeline.Administration;
using MailPipeline.Console.Access;
using MailPipeline.Mail;
using Microsoft.AspNetCore.Http.HttpResults;

namespace MailPipeline.Console.Api;

/// <param name="Name">In A-labels.</param>
/// <param name="AliasOf">The domain of ours that it stands for; null: none.</param>
/// <param name="Relay">Where its mail goes on to; null: to maildrops here.</param>
/// <param name="Recipients">Of a relayed domain: which addresses are taken.</param>
internal sealed record DomainView(string Name, string? AliasOf, string? Relay, RelayRecipients? Recipients)
{
    public static DomainView Of(MailDomain domain) => new(
        domain.Name, domain.AliasOf.Length > 0 ? domain.AliasOf : null, domain.IsRelayed ? domain.Relay : null, domain.IsRelayed ? domain.Recipients : null);
}

/// <param name="Name">In letters of its own script or in A-labels.</param>
/// <param name="AliasOf">Each of its addresses is the same one of this domain of ours.</param>
/// <param name="Relay">HOST[:PORT], lmtp:HOST[:PORT], lmtp:/PATH, or mx. Not beside aliasOf.</param>
/// <param name="Recipients">Of a relayed domain; all where nothing is said.</param>
internal sealed record NewDomain(string Name, string? AliasOf = null, string? Relay = null, RelayRecipients? Recipients = null);

/// <param name="HasPostmaster">Somebody reads what is written to its postmaster (RFC 5321 §4.5.1).</param>
/// <param name="BrokenAliases">Aliases that led to an address of it and now lead nowhere.</param>
internal sealed record DomainMade(DomainView Domain, bool? HasPostmaster, IReadOnlyList<AliasView> BrokenAliases);

/// <param name="IdleAliases">Its own aliases, which do nothing until it is ours again.</param>
/// <param name="LeavingAliases">Aliases of other domains that lead to it, whose mail leaves us now.</param>
internal sealed record DomainGone(string Name, IReadOnlyList<AliasView> IdleAliases, IReadOnlyList<AliasView> LeavingAliases);

internal sealed record AccountView(string Address);

/// <param name="Address">Its user name too.</param>
internal sealed record NewAccount(string Address, string Password);

/// <param name="Postmaster">The postmaster's address whose mail it gets from now on; null: another has it.</param>
internal sealed record AccountMade(string Address, string? Postmaster);

internal sealed record NewPassword(string Password);

internal sealed record AccountGone(string Address, IReadOnlyList<AliasView> BrokenAliases);

/// <param name="Address">An address of ours, or @DOMAIN for all of a domain.</param>
internal sealed record AliasView(string Address, string Target)
{
    public static AliasView Of(Alias alias) => new(alias.Address, alias.Target);

    /// <summary>Those that are the caller's business.</summary>
    public static IReadOnlyList<AliasView> Of(IReadOnlyList<Alias> aliases, ApiCaller caller) => [.. aliases.Where(alias => caller.MaySeeAddress(alias.Address)).Select(Of)];
}

/// <param name="PassesOverAccount">An account has the same name, and gets no more mail itself.</param>
internal sealed record AliasMade(AliasView Alias, bool PassesOverAccount);

internal sealed record AliasGone(AliasView Alias, IReadOnlyList<AliasView> BrokenAliases);

/// <summary>Domains, accounts and aliases.</summary>
internal static class DirectoryRoutes
{
    public static void Map(RouteGroupBuilder api)
    {
        var domains = api.MapGroup("/domains").WithTags("Directory");
        domains.MapGet("/", ListDomainsAsync).RequireScope(ApiScopes.Read).WithSummary("Domains of ours").Produces<Page<DomainView>>();
        domains.MapGet("/{name}", FindDomainAsync).RequireScope(ApiScopes.Read).WithSummary("One domain").Produces<DomainView>().ProducesProblem(404);
        domains.MapPost("/", AddDomainAsync).RequireScope(ApiScopes.Administer).AcceptsKey().WithSummary("Receive mail for a domain").Produces<DomainMade>(201).ProducesProblem(409).ProducesProblem(422);
        domains.MapDelete("/{name}", RemoveDomainAsync).RequireScope(ApiScopes.Administer).WithMetadata(new TagAccepted()).WithSummary("No longer receive mail for it").Produces<DomainGone>().ProducesProblem(404).ProducesProblem(409).ProducesProblem(412);

        var accounts = api.MapGroup("/accounts").WithTags("Directory");
        accounts.MapGet("/", ListAccountsAsync).RequireScope(ApiScopes.Read).WithSummary("Accounts").Produces<Page<AccountView>>();
        accounts.MapGet("/{address}", FindAccountAsync).RequireScope(ApiScopes.Read).WithSummary("One account").Produces<AccountView>().ProducesProblem(404);
        accounts.MapPost("/", AddAccountAsync).RequireScope(ApiScopes.Administer).AcceptsKey().WithSummary("Make an account").Produces<AccountMade>(201).ProducesProblem(409).ProducesProblem(422);
        accounts.MapPut("/{address}/password", SetPasswordAsync).RequireScope(ApiScopes.Administer).WithSummary("Give it another password").Produces(204).ProducesProblem(404).ProducesProblem(422);
        accounts.MapDelete("/{address}", RemoveAccountAsync).RequireScope(ApiScopes.Administer).WithSummary("Remove it, with all mail in its maildrop").Produces<AccountGone>().ProducesProblem(404);
        AccountImport.Map(accounts);

        var aliases = api.MapGroup("/aliases").WithTags("Directory");
        aliases.MapGet("/", ListAliasesAsync).RequireScope(ApiScopes.Read).WithSummary("Aliases").Produces<Page<AliasView>>();
        aliases.MapPost("/", AddAliasAsync).RequireScope(ApiScopes.Administer).AcceptsKey().WithSummary("Mail for one address goes to another").Produces<AliasMade>(201).ProducesProblem(409).ProducesProblem(422);
        aliases.MapDelete("/", RemoveAliasAsync).RequireScope(ApiScopes.Administer).WithSummary("No longer").Produces<AliasGone>().ProducesProblem(404);
    }

    /// <summary>Makes an account, where that is the caller's business.</summary>
    public static async Task<IResult> AddAccountAsync(NewAccount wanted, Accounts accounts, HttpContext context, CancellationToken cancellation) =>
        !ApiCaller.Of(context).MaySeeAddress(KeyOf(wanted.Address)) ? NotHis() : Answer(await accounts.AddAsync(wanted.Address, wanted.Password, ApiCaller.OperatorOf(context), cancellation), ApiCaller.Of(context));

    private static async Task<IResult> ListDomainsAsync(Domains domains, HttpContext context, string? cursor, int? limit, CancellationToken cancellation)
    {
        var caller = ApiCaller.Of(context);
        return Page.Of((await domains.ListAsync(cancellation)).Where(domain => caller.MaySeeDomain(domain.Name)).Select(DomainView.Of), domain => domain.Name, cursor, limit);
    }

    private static async Task<IResult> FindDomainAsync(string name, Domains domains, HttpContext context, CancellationToken cancellation) =>
        await FindAsync(name, domains, context, cancellation) is { } found ? EntityTags.Tagged(context, found) : NoDomain(name);

    private static async Task<DomainView?> FindAsync(string name, Domains domains, HttpContext context, CancellationToken cancellation)
    {
        if (MailNames.Domain(name, out var domain) is not null || !ApiCaller.Of(context).MaySeeDomain(domain))
            return null;
        return await domains.FindAsync(domain, cancellation) is { } found ? DomainView.Of(found) : null;
    }

    private static async Task<IResult> AddDomainAsync(NewDomain wanted, Domains domains, HttpContext context, CancellationToken cancellation)
    {
        // Which domains are ours is the business of who has all of them.
        if (!ApiCaller.Of(context).Token.IsForAll)
            return NotHis();
        var by = ApiCaller.OperatorOf(context);
        return wanted switch
        {
            { AliasOf: { } other, Relay: null, Recipients: null } => Answer(await domains.AddAliasAsync(wanted.Name, other, by, cancellation), ApiCaller.Of(context)),
            { AliasOf: null, Relay: { } hop } => Answer(await domains.AddRelayAsync(wanted.Name, hop, wanted.Recipients ?? RelayRecipients.All, by, cancellation), ApiCaller.Of(context)),
            { AliasOf: null, Relay: null, Recipients: null } => Answer(await domains.AddAsync(wanted.Name, by, cancellation), ApiCaller.Of(context)),
            { Relay: null } => Problem.Invalid("needsRelay", "It goes with relay, and without aliasOf", "recipients"),
            _ => Problem.Invalid("aliasOrRelay", "It goes without aliasOf", "relay"),
        };
    }

    private static async Task<IResult> RemoveDomainAsync(string name, Domains domains, HttpContext context, CancellationToken cancellation)
    {
        if (!ApiCaller.Of(context).Token.IsForAll)
            return NotHis();
        if (await FindAsync(name, domains, context, cancellation) is { } there && EntityTags.Refuse(context, there) is { } changed)
            return changed;
        return Answer(await domains.RemoveAsync(name, ApiCaller.OperatorOf(context), cancellation), ApiCaller.Of(context));
    }

    private static async Task<IResult> ListAccountsAsync(Accounts accounts, HttpContext context, string? domain, string? cursor, int? limit, CancellationToken cancellation)
    {
        var caller = ApiCaller.Of(context);
        var wanted = "";
        if (domain is not null && MailNames.Domain(domain, out wanted) is not null)
            return Problem.Invalid("notADomain", "It must be a domain", "domain");
        if (Page.Refuse(limit) is { } refused)
            return refused;
        if (Page.NameOf(cursor) is not { } after)
            return Page.BadCursor();
        // Of all that there may be, what belongs to others is not read.
        var his = caller.Token.AccountAddress.Length > 0 ? MailNames.DomainOf(caller.Token.AccountAddress) : caller.Token.Domain;
        if (his.Length > 0 && wanted.Length > 0 && wanted != his)
            return TypedResults.Ok(new Page<AccountView>([], null));
        if (caller.Token.AccountAddress.Length > 0)
            return TypedResults.Ok(new Page<AccountView>(after.Length == 0 ? [new AccountView(caller.Token.AccountAddress)] : [], null));
        var most = limit ?? Page<AccountView>.Default;
        var found = await accounts.ListAsync(after, his.Length > 0 ? his : wanted, most + 1, cancellation);
        return TypedResults.Ok(new Page<AccountView>([.. found.Take(most).Select(address => new AccountView(address))], found.Count > most ? Page.CursorOf(found[most - 1]) : null));
    }

    private static async Task<IResult> FindAccountAsync(string address, Accounts accounts, HttpContext context, CancellationToken cancellation) =>
        ApiCaller.Of(context).MaySeeAddress(KeyOf(address)) && await accounts.FindAsync(address, cancellation) is AccountIsThere found
            ? TypedResults.Ok(new AccountView(found.Address)) : NoAccount(address);

    private static async Task<IResult> SetPasswordAsync(string address, NewPassword wanted, Accounts accounts, HttpContext context, CancellationToken cancellation) =>
        !ApiCaller.Of(context).MaySeeAddress(KeyOf(address)) ? NoAccount(address)
        : Answer(await accounts.SetPasswordAsync(address, wanted.Password, ApiCaller.OperatorOf(context), cancellation), ApiCaller.Of(context));

    private static async Task<IResult> RemoveAccountAsync(string address, Accounts accounts, HttpContext context, CancellationToken cancellation) =>
        !ApiCaller.Of(context).MaySeeAddress(KeyOf(address)) ? NoAccount(address)
        : Answer(await accounts.RemoveAsync(address, ApiCaller.OperatorOf(context), cancellation), ApiCaller.Of(context));

    private static async Task<IResult> ListAliasesAsync(Aliases aliases, HttpContext context, string? cursor, int? limit, CancellationToken cancellation)
    {
        var caller = ApiCaller.Of(context);
        return Page.Of(
            (await aliases.ListAsync(cancellation)).Where(alias => caller.MaySeeAddress(alias.Address)).Select(AliasView.Of), alias => $"{alias.Address} {alias.Target}", cursor, limit);
    }

    private static async Task<IResult> AddAliasAsync(AliasView wanted, Aliases aliases, HttpContext context) =>
        !ApiCaller.Of(context).MaySeeAddress(KeyOf(wanted.Address)) ? NotHis() : Answer(await aliases.AddAsync(wanted.Address, wanted.Target, ApiCaller.OperatorOf(context)), ApiCaller.Of(context));

    private static async Task<IResult> RemoveAliasAsync(string address, string target, Aliases aliases, HttpContext context, CancellationToken cancellation) =>
        !ApiCaller.Of(context).MaySeeAddress(KeyOf(address)) ? NotHis() : Answer(await aliases.RemoveAsync(address, target, ApiCaller.OperatorOf(context), cancellation), ApiCaller.Of(context));

    /// <summary>An address as it is kept; what is none belongs to nobody but who has everything.</summary>
    private static string KeyOf(string typed) => MailNames.AddressOrCatchAll(typed, out var address) is null ? address : "";

    private static IResult NotHis() => Problem.Forbidden("The token is for a domain or an account alone, and this belongs to another");

    private static IResult NoDomain(string name) => Problem.NotFound("noSuchDomain", $"'{name}' is no domain of ours");

    private static IResult NoAccount(string address) => Problem.NotFound("noSuchAccount", $"There is no account '{address}'");

    private static IResult Answer(DirectoryResult result, ApiCaller caller) => result switch
    {
        DomainAdded made => Made($"domains/{made.Domain}", new DomainMade(new DomainView(made.Domain, null, null, null), made.HasPostmaster, AliasView.Of(made.Broken, caller))),
        DomainAliasAdded made => Made($"domains/{made.Domain}", new DomainMade(new DomainView(made.Domain, made.Other, null, null), null, AliasView.Of(made.Broken, caller))),
        DomainRelayAdded made => Made($"domains/{made.Domain}", new DomainMade(new DomainView(made.Domain, null, made.Relay, made.Recipients), null, AliasView.Of(made.Broken, caller))),
        DomainRemoved gone => TypedResults.Ok(new DomainGone(gone.Domain, AliasView.Of(gone.Idle, caller), AliasView.Of(gone.Leaving, caller))),
        DomainAlreadyThere there => Problem.Conflict("domainAlreadyThere", $"{there.Domain} is ours already"),
        NoSuchDomain missing => NoDomain(missing.Domain),
        DomainNotOurs foreign => Problem.Conflict("domainNotOurs", $"{foreign.Domain} is no domain of ours"),
        DomainIsRelayed relayed => Problem.Conflict("domainIsRelayed", $"Mail for {relayed.Domain} goes on to {relayed.Relay}"),
        DomainIsAlias alias => Problem.Conflict("domainIsAlias", $"{alias.Domain} stands for {alias.Other}, which has its addresses"),
        HasAliasDomains kept => Problem.Conflict("hasAliasDomains", $"{string.Join(", ", kept.Aliases)} stand for {kept.Domain}, and are to be removed before it"),
        HasAccounts kept => Problem.Conflict("hasAccounts", $"{kept.Domain} has {kept.Accounts} accounts, which are to be removed before it"),
        NotANextHop hop => Problem.Invalid("notANextHop", $"'{hop.Typed}' is no HOST[:PORT], lmtp:HOST[:PORT], lmtp:/PATH or mx", "relay"),
        NotADomain typed => Problem.Invalid("notADomain", $"'{typed.Typed}' is no domain", "name"),

        AccountAdded made => Made($"accounts/{Uri.EscapeDataString(made.Address)}", new AccountMade(made.Address, made.Postmaster)),
        AccountRemoved gone => TypedResults.Ok(new AccountGone(gone.Address, AliasView.Of(gone.Broken, caller))),
        PasswordChanged => TypedResults.NoContent(),
        AccountAlreadyThere there => Problem.Conflict("accountAlreadyThere", $"There is an account {there.Address}"),
        NoSuchAccount missing => NoAccount(missing.Address),
        NotAnAddress typed => Problem.Invalid("notAnAddress", $"'{typed.Typed}' is no address", "address"),
        NotAnAccountName typed => Problem.Invalid(
            "notAnAccountName", $"'{typed.Typed}' cannot be a user name: at most {typed.MaxLength} octets, {typed.MaxLocalPart} of them before the @, without spaces, quotes and slashes", "address"),
        PasswordEmpty => Problem.Invalid("passwordEmpty", "A password is needed", "password"),
        PasswordTooShort weak => Problem.Invalid("passwordTooShort", $"It has {weak.Length} characters; it must have at least {weak.MinLength}", "password"),
        PasswordWithNul => Problem.Invalid("passwordWithNul", "It must not contain NUL, which no protocol can carry", "password"),

        AliasAdded made => TypedResults.Created((string?)null, new AliasMade(AliasView.Of(made.Alias), made.PassesOver)),
        AliasRemoved gone => TypedResults.Ok(new AliasGone(AliasView.Of(gone.Alias), AliasView.Of(gone.Broken, caller))),
        AliasAlreadyThere there => Problem.Conflict("aliasAlreadyThere", $"{there.Alias.Address} leads to {there.Alias.Target} already"),
        NoSuchAlias missing => Problem.NotFound("noSuchAlias", $"{missing.Alias.Address} does not lead to {missing.Alias.Target}"),
        AliasFaulty faulty => Problem.Conflict("aliasFaulty", $"With it {(caller.MaySeeAddress(faulty.Address) ? faulty.Address : "an address")} would lead {FaultOf(faulty.Fault)}"),
        _ => throw new UnreachableException($"{result.GetType().Name} has no answer"),
    };

    private static Created<T> Made<T>(string path, T thing) => TypedResults.Created($"{ApiHosting.Root}/{path}", thing);

    private static string FaultOf(AddressFault fault) => fault switch
    {
        AddressFault.Loop => "in a circle",
        AddressFault.TooDeep => "on through too many aliases",
        AddressFault.TooWide => "to more recipients than a message can have",
        _ => "to nobody",
    };
}
