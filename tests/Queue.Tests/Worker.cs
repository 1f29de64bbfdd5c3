using System.Collections.Concurrent;
using MailPipeline.Contracts;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MassTransit;

namespace MailPipeline.Queue.Tests;

/// <summary>What the worker does with each command, and all it was given.</summary>
internal sealed class Worker
{
    private readonly TaskCompletionSource _leaving = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public ConcurrentQueue<BatchCommand> Commands { get; } = new();

    /// <summary>What it won, in the order of the commands.</summary>
    public ConcurrentQueue<Claim> Claims { get; } = new();

    /// <summary>The outcome of each recipient; the number counts the attempts made for it before.</summary>
    public Func<Recipient, (AttemptOutcome Outcome, string Status, string Reply)> Answer { get; set; } =
        _ => (AttemptOutcome.Delivered, "2.0.0", "250 2.0.0 Ok");

    /// <summary>False: no host of the domain can be reached.</summary>
    public Func<string, bool> Reachable { get; set; } = _ => true;

    /// <summary>The next hop offers DSN, and is told what the sender wants to know.</summary>
    public Func<Recipient, bool> OffersDsn { get; set; } = _ => false;

    /// <summary>The next hop speaks LMTP.</summary>
    public Func<Recipient, bool> Delivers { get; set; } = _ => false;

    /// <summary>What its reports say of where mail goes.</summary>
    public string Site { get; set; } = "";

    /// <summary>Where the mail of a domain goes: what has no permit for that is handed back. Null: nobody asks.</summary>
    public Func<string, string>? SiteOf { get; set; }

    /// <summary>Whom it puts off for want of something of its own, and until when.</summary>
    public Func<Recipient, DateTimeOffset?> PutsOff { get; set; } = _ => null;

    /// <summary>What its hosts had to say.</summary>
    public Func<string, SiteState> StateOf { get; set; } = _ => SiteState.Answered;

    /// <summary>Batches handed back because they had no permit, or one that counts no more.</summary>
    public ConcurrentQueue<BatchCommand> Elsewhere { get; } = new();

    /// <summary>The endpoint of the worker that keeps the connection, where one is kept; asked when the batch has ended.</summary>
    public Func<BatchCommand, string> KeptBy { get; set; } = _ => "";

    /// <summary>What becomes of a command before it is worked on.</summary>
    public Func<BatchCommand, Fate> FateOf { get; set; } = _ => Fate.Done;

    /// <summary>What a command waits for after its claim is won: a slow far end.</summary>
    public Func<BatchCommand, Task> Until { get; set; } = _ => Task.CompletedTask;

    /// <summary>Every command that is under way ends without a word.</summary>
    public Task Leaving => _leaving.Task;

    public void Leave() => _leaving.TrySetResult();

    public int AttemptsAt(string domain) => Commands.Where(command => command.Domain == domain).Sum(command => command.Recipients.Length);

    public enum Fate
    {
        Done,

        /// <summary>Lost on the bus.</summary>
        Lost,

        /// <summary>The worker dies after it has won the claim.</summary>
        DiesWithClaim,

        /// <summary>The worker delivers, ends its claim with the record of it, and reports that.</summary>
        EndsClaim,

        /// <summary>The worker delivers, ends its claim with the record of it, and dies before its report.</summary>
        DiesAfterRecord,

        /// <summary>The worker gives all back untried.</summary>
        HandedBack,

        /// <summary>The report is sent twice, and the command is worked on twice.</summary>
        Twice,
    }
}

internal class WorkerConsumer(Worker worker, ClaimStore claims, MailBus bus) : IConsumer<DeliverMessages>
{
    public Task Consume(ConsumeContext<DeliverMessages> context) => WorkAsync(context.Message.ToBatchCommand());

    public async Task WorkAsync(BatchCommand command)
    {
        worker.Commands.Enqueue(command);
        var fate = worker.FateOf(command);
        if (fate == Worker.Fate.Lost)
            return;
        var site = worker.SiteOf?.Invoke(command.Domain) ?? worker.Site;
        if (worker.SiteOf is not null && command.Site is { } meant && meant != site)
        {
            await HandBackAsync(site);
            return;
        }
        for (var times = fate == Worker.Fate.Twice ? 2 : 1; times > 0; times--)
        {
            var claim = await claims.TakeAsync(command, begun: true, default);
            if (claim.IsStale)
            {
                await HandBackAsync(site);
                return;
            }
            worker.Claims.Enqueue(claim);
            if (fate == Worker.Fate.HandedBack)
            {
                await bus.SendAsync(
                    BusEndpoints.AttemptsCompleted,
                    new AttemptReport(command.Domain, command.BatchId, claim.Id, [.. command.Recipients.Select(recipient => Result(command, recipient, won: false))], false).ToContract(),
                    default);
                return;
            }
            if (fate == Worker.Fate.DiesWithClaim)
            {
                await claims.NoteDotsAsync(claim.Id, claim.Won, default);
                return;
            }
            if (await Task.WhenAny(worker.Until(command), worker.Leaving) == worker.Leaving)
                return;
            var results = command.Recipients.Select(recipient => Result(command, recipient, claim.Won.Contains(recipient.RecipientId))).ToArray();
            if (fate is Worker.Fate.EndsClaim or Worker.Fate.DiesAfterRecord)
            {
                var (_, hasEnded) = await claims.RecordLastDeliveredAsync(claim.Id, results, claim.Won, default);
                if (fate == Worker.Fate.EndsClaim)
                {
                    await bus.SendAsync(
                        BusEndpoints.AttemptsCompleted,
                        new AttemptReport(command.Domain, command.BatchId, claim.Id, results, Unreachable: false, HasEnded: hasEnded).ToContract(), default);
                }
                return;
            }
            await claims.RecordDeliveredAsync(claim.Id, [.. results.Where(r => r.Outcome == AttemptOutcome.Delivered)], default);
            await bus.SendAsync(
                BusEndpoints.AttemptsCompleted,
                new AttemptReport(command.Domain, command.BatchId, claim.Id, results, !worker.Reachable(command.Domain), Site: site,
                    SiteState: site.Length == 0 ? SiteState.Unsaid : worker.Reachable(command.Domain) ? worker.StateOf(command.Domain) : SiteState.Unreachable,
                    KeptBy: worker.KeptBy(command)).ToContract(), default);
        }

        Task HandBackAsync(string to)
        {
            worker.Elsewhere.Enqueue(command);
            return bus.SendAsync(
                BusEndpoints.AttemptsCompleted,
                new AttemptReport(
                    command.Domain, command.BatchId, 0, [.. command.Recipients.Select(recipient => Result(command, recipient, won: false))], false, NothingWon: true,
                    Site: to, IsElsewhere: true).ToContract(),
                default);
        }
    }

    private AttemptResult Result(BatchCommand command, Recipient recipient, bool won)
    {
        var (outcome, status, reply) = !won ? (AttemptOutcome.NotAttempted, "4.0.0", "claim not won")
            : worker.Reachable(command.Domain) ? worker.Answer(recipient)
            : (AttemptOutcome.Deferred, "4.4.1", "connection refused");
        var now = TimeProvider.System.GetUtcNow();
        return new AttemptResult(recipient.RecipientId, outcome, status, reply, "mx.example.net[192.0.2.1]:25", now, now)
        {
            NotBefore = won ? worker.PutsOff(recipient) : null,
            IsFinal = worker.Delivers(recipient),
            ReportsHandedOn = recipient.Body.HasFlag(BodyType.Dsn) && worker.OffersDsn(recipient),
        };
    }
}

internal sealed class RetryWorkerConsumer(Worker worker, ClaimStore claims, MailBus bus) : WorkerConsumer(worker, claims, bus);

internal sealed class MailboxConsumer(MaildropStore maildrops, ClaimStore claims, MailBus bus) : IConsumer<StoreMessages>
{
    public async Task Consume(ConsumeContext<StoreMessages> context)
    {
        var command = context.Message.ToBatchCommand();
        var claimId = await claims.NextIdAsync(default);
        var results = await maildrops.StoreAsync(claimId, command, _ => "", default);
        await bus.SendAsync(
            BusEndpoints.AttemptsCompleted,
            new AttemptReport(command.Domain, command.BatchId, claimId, [.. results], false).ToContract(), default);
    }
}
