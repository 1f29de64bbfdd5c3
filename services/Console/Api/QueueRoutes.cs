using System.Diagnostics;
using MailPipeline.Administration;
using MailPipeline.Console.Access;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Console.Api;

/// <param name="PausedSince">Null: delivery is not paused.</param>
/// <param name="Waiting">Recipients that wait for an attempt or are being tried.</param>
/// <param name="Unrouted">Messages that the router has not seen.</param>
/// <param name="HeldBySenders">Messages that their senders want to leave later.</param>
/// <param name="Batches">Batches that workers are trying.</param>
/// <param name="Unreported">Failures that senders have not been told of yet.</param>
/// <param name="SampledAt">As of when it was counted; null: for this question.</param>
/// <param name="HasMoreDomains">There are others besides.</param>
internal sealed record QueueView(
    DateTimeOffset? PausedSince, string? PausedBy, long Waiting, long Unrouted, long HeldBySenders, long Held, long Batches, long Unreported, DateTimeOffset? SampledAt,
    IReadOnlyList<DomainWaitView> Domains, bool HasMoreDomains);

/// <param name="Failures">Attempts in a row in which no host of it could be reached.</param>
/// <param name="Site">The hosts of best preference, as the last attempt found them.</param>
internal sealed record DomainWaitView(
    string Domain, long Waiting, long BeingTried, WaitView? Wait, int Failures, string LastReply, string Site, DateTimeOffset? OldestAt);

/// <param name="Key">The domain, the site (empty: not known before an attempt), the word of the reason, the sender (empty: reports).</param>
/// <param name="Due">Those that nobody tries, though their time has come.</param>
/// <param name="NextAt">The next attempt of the others.</param>
internal sealed record QueueGroupView(
    string Key, long Waiting, long BeingTried, DateTimeOffset? OldestAt, WaitView? Wait, long Due, DateTimeOffset? NextAt, string LastReply);

internal sealed record QueueGroupsView(DateTimeOffset? SampledAt, long Waiting, IReadOnlyList<QueueGroupView> Groups, bool HasMore);

/// <param name="Domain">Empty: it is not routed.</param>
internal sealed record QueueEntryView(
    string Id, string Sender, IReadOnlyList<string> Recipients, string Domain, DateTimeOffset AcceptedAt, WaitView? Wait, int Attempts, LastAttempt? Last);

internal sealed record Flush(string Domain);

internal sealed record Flushed(string Domain, long Messages);

internal sealed record PauseView(bool IsPaused);

/// <summary>What waits and why, and what lets it go or keeps it.</summary>
internal static class QueueRoutes
{
    private const int MostDomains = 50;

    public static void Map(RouteGroupBuilder api)
    {
        var queue = api.MapGroup("/queue").WithTags("Queue");
        queue.MapGet("/", OverviewAsync).RequireScope(ApiScopes.Read).WithSummary("What waits, with the domains of which most waits").Produces<QueueView>();
        queue.MapGet("/groups", GroupAsync).RequireScope(ApiScopes.Read).WithSummary("All that waits, by domain, site, sender or reason").Produces<QueueGroupsView>().ProducesProblem(422);
        queue.MapGet("/entries", ListAsync).RequireScope(ApiScopes.Read).WithSummary("Those that wait, one by one").Produces<Page<QueueEntryView>>().ProducesProblem(422);
        queue.MapPost("/flush", FlushAsync).RequireScope(ApiScopes.Operate).WithSummary("Make what waits for a domain due at once").Produces<Flushed>().ProducesProblem(404).ProducesProblem(409);
        queue.MapPost("/pause", async (DeliveryQueue all, HttpContext context) => Answer(await all.PauseAsync(ApiCaller.OperatorOf(context))))
            .RequireScope(ApiScopes.Operate).WithSummary("Hand nothing out any more").Produces<PauseView>();
        queue.MapPost("/resume", async (DeliveryQueue all, HttpContext context) => Answer(await all.ResumeAsync(ApiCaller.OperatorOf(context))))
            .RequireScope(ApiScopes.Operate).WithSummary("And out again").Produces<PauseView>();
    }

    private static async Task<IResult> OverviewAsync(DeliveryQueue queue, HttpContext context, CancellationToken cancellation)
    {
        if (!ApiCaller.Of(context).Token.IsForAll)
            return NotHis();
        var found = await queue.FindAsync(MostDomains, 0, cancellation);
        return TypedResults.Ok(new QueueView(
            found.Pause?.Since, found.Pause?.Operator, found.Waiting, found.Unrouted, found.HeldBySenders, found.Held, found.Batches, found.Unreported, found.SampledAt,
            [.. found.Domains.Select(domain => new DomainWaitView(
                domain.Domain, domain.Waiting, domain.BeingTried, WaitView.Of(domain.Reason), domain.Failures, domain.LastReply, domain.Site, domain.OldestAt))],
            found.HasMoreDomains));
    }

    private static async Task<IResult> GroupAsync(DeliveryQueue queue, HttpContext context, string? by, int? limit, CancellationToken cancellation)
    {
        if (!ApiCaller.Of(context).Token.IsForAll)
            return NotHis();
        if (Page.Refuse(limit) is { } refused)
            return refused;
        if (Words.Parse<WaitingBy>(by ?? "") is not { } wanted)
            return Problem.Invalid("notAGrouping", $"It must be one of {Words.All<WaitingBy>()}", "by");
        var found = await queue.GroupAsync(wanted, limit ?? Page<object>.Default, cancellation);
        return TypedResults.Ok(new QueueGroupsView(
            found.SampledAt, found.Waiting,
            [.. found.Groups.Select(group => new QueueGroupView(
                group.Key, group.Waiting, group.BeingTried, group.OldestAt, WaitView.Of(group.Wait), group.Due, group.NextAt, group.LastReply))],
            found.HasMore));
    }

    private static async Task<IResult> ListAsync(
        DeliveryQueue queue, HttpContext context, string? domain, string? sender, string? recipient, string? reason, string? older, string? reply, string? cursor, int? limit,
        CancellationToken cancellation)
    {
        if (!ApiCaller.Of(context).Token.IsForAll)
            return NotHis();
        if (Page.Refuse(limit) is { } refused)
            return refused;
        WaitKind? kind = null;
        if (reason is not null)
        {
            kind = Enum.GetValues<WaitKind>().Select(one => (WaitKind?)one).FirstOrDefault(one => WaitWords.Of(one!.Value) == reason);
            if (kind is null)
                return Problem.Invalid("notAReason", $"It must be one of {string.Join(", ", Enum.GetValues<WaitKind>().Select(WaitWords.Of))}", "reason");
        }
        TimeSpan? age = null;
        if (older is not null)
        {
            if (!Units.TryParseTime(older, out var parsed))
                return Problem.Invalid("notATime", $"It must be {Units.TimeForm}", "older");
            age = parsed;
        }
        QueuePlace? after = null;
        if (!string.IsNullOrEmpty(cursor) && (after = QueuePlace.Parse(cursor)) is null)
            return Page.BadCursor();
        var found = await queue.ListAsync(
            new QueueFilter { Domain = domain, Sender = sender, Recipient = recipient, Reason = kind, Older = age, Reply = reply }, after, limit ?? Page<object>.Default, cancellation);
        // A page may be short, or empty, and yet have a next one: it ended with its time.
        return TypedResults.Ok(new Page<QueueEntryView>(
            [.. found.Entries.Select(entry => new QueueEntryView(
                MessageIds.ToText(entry.MessageId), entry.Sender, entry.Recipients, entry.Domain, entry.AcceptedAt, WaitView.Of(entry.Wait), entry.Attempts, entry.Last))],
            found.Next?.ToString()));
    }

    private static async Task<IResult> FlushAsync(Flush wanted, DeliveryQueue queue, HttpContext context) =>
        MailNames.Domain(wanted.Domain, out var domain) is not null ? Problem.Invalid("notADomain", $"'{wanted.Domain}' is no domain", "domain")
        : Answer(await queue.FlushAsync(domain, ApiCaller.OperatorOf(context)));

    private static IResult NotHis() => Problem.Forbidden("The token is for a domain or an account alone, and this is of all mail");

    // Who pauses what is paused has what he wants.
    private static IResult Answer(QueueResult result) => result switch
    {
        DeliveryPausedNow or DeliveryPausedAlready => TypedResults.Ok(new PauseView(true)),
        DeliveryResumed or DeliveryNotPaused => TypedResults.Ok(new PauseView(false)),
        QueueFlushed flushed => TypedResults.Ok(new Flushed(flushed.Domain, flushed.Messages)),
        NothingToFlush nothing => Problem.NotFound("nothingToFlush", $"Nothing waits for {nothing.Domain}"),
        FlushWhilePaused paused => Problem.Conflict("deliveryPaused", $"Delivery is paused, and nothing of {paused.Domain} would be handed out"),
        _ => throw new UnreachableException($"{result.GetType().Name} has no answer"),
    };
}
