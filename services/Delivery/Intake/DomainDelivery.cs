using MailPipeline.Delivery.Batches;
using MailPipeline.Delivery.Claims;
using MailPipeline.Delivery.Connections;
using MailPipeline.Delivery.Routing;
using MailPipeline.Delivery.Smtp;
using MailPipeline.Delivery.Sources;
using MailPipeline.Mail;
using Microsoft.Extensions.Options;

namespace MailPipeline.Delivery.Intake;

/// <summary>
/// One batch of the queue from claim to report: wins the claim, speaks SMTP to the hosts, records what was delivered.
/// Never throws: whatever goes wrong, every recipient has a result, and an unknown failure is a temporary one.
/// </summary>
internal sealed class DomainDelivery(
    IClaims claims, IMessageContent content, ClaimRenewal renewal, MxResolver resolver, HostFailures failures, SmtpConnector connector, OwnEndpoint own,
    SourceSlots sources, SourcePutOffs putOffs,
    IOptions<DeliveryOptions> options, IOptions<HostOptions> host, DeliveryTelemetry telemetry, TimeProvider time,
    IHostApplicationLifetime lifetime, ILogger<DomainDelivery> log)
{
    /// <summary>RFC 3463 §3.8.</summary>
    private const string OfSecurity = "4.7.";

    private readonly BatchContext _context = new(
        options.Value, content, telemetry, time, log, new StopGrace(host.Value.ShutdownTimeout, lifetime, time),
        lifetime.ApplicationStopping);

    /// <param name="wanted">The batch.</param>
    /// <param name="resolving">The hosts of its domain, with an address; may have failed.</param>
    /// <param name="slots">Where the connection is counted.</param>
    /// <param name="waits">Is told when it waits for a connection.</param>
    /// <param name="reportAsync">
    /// Takes what is to be known before the end: on a stop, recipients that are not begun are others' at once, however long the far
    /// end takes to answer for the message under way.
    /// </param>
    /// <returns>What is to be reported at the end, if anything.</returns>
    public async Task<AttemptReport?> RunAsync(
        BatchCommand wanted, Task<Resolution> resolving, ConnectionSlots slots, BatchWaits waits,
        Func<AttemptReport, Task> reportAsync)
    {
        using var turn = new ConnectionTurn(
            slots, claims, waits, wanted.Domain, wanted.KeptAfter, time, options.Value.BatchTime, lifetime.ApplicationStopping);
        try
        {
            return await RunAsync(wanted, resolving, turn, reportAsync);
        }
        finally
        {
            await turn.EndKeptAsync();
        }
    }

    private async Task<AttemptReport?> RunAsync(BatchCommand wanted, Task<Resolution> resolving, ConnectionTurn turn, Func<AttemptReport, Task> reportAsync)
    {
        if (wanted.Site is { } site && resolving.IsCompletedSuccessfully && await resolving is { Failure: null } found && found.Site != site)
        {
            // A batch without a permit has nothing to give back, whoever else may be at it.
            return site.Length > 0 && await IsHeldAsync(wanted) ? null : Elsewhere(wanted, found.Site);
        }

        // With a slot at hand the claim says at once that it has begun; whoever has to wait for one says so later.
        if (resolving.IsCompletedSuccessfully && (await resolving).First is { } first)
            turn.TryBegin(first);
        var askedAt = time.GetTimestamp();
        var taken = await TakeAsync(wanted, turn.HasBegun);
        if (taken is { IsStale: true })
            return await IsHeldAsync(wanted) ? null : Elsewhere(wanted, wanted.Site ?? "");
        if (taken is not { Won: { Count: > 0 } won })
            return await IsHeldAsync(wanted) ? null : NothingWon(wanted);

        var claim = renewal.Begin(taken.Id, askedAt);
        try
        {
            var recorder = new DeliveredRecorder(claims, claim, wanted, won, telemetry, time, log, lifetime.ApplicationStopped);
            var batch = new DeliveryBatch(_context, wanted, won, claim, recorder, claims);
            var handingBack = Task.CompletedTask;
            using (lifetime.ApplicationStopping.UnsafeRegister(_ => handingBack = HandBackAsync(batch, reportAsync), null))
                await TryDeliverAsync(batch, resolving, turn);
            // Others need not wait for the records.
            turn.End();
            await handingBack;
            var report = batch.Report(await recorder.CompleteAsync(), recorder.HasEndedClaim);
            await FinishAsync(report);
            return report;
        }
        finally
        {
            renewal.End(claim);
        }
    }

    /// <summary>
    /// What was not delivered is the queue's to record, and the report of it may be lost. Then storage knows at least that the worker
    /// lived and how far each attempt came. Delivered ones are recorded already: most batches have nothing to say here.
    /// </summary>
    private async Task FinishAsync(AttemptReport report)
    {
        var uncertain = report.Results.Where(result => result.Outcome == AttemptOutcome.Uncertain).Select(result => result.RecipientId).ToArray();
        var tried = report.Results.Where(result => result.Outcome is AttemptOutcome.Deferred or AttemptOutcome.Failed)
            .Select(result => result.RecipientId).ToArray();
        if (uncertain.Length + tried.Length == 0)
            return;
        try
        {
            await claims.FinishAsync(report.ClaimId, uncertain, tried, CancellationToken.None);
        }
#pragma warning disable CA1031 // Storage is away: without the note a lost report counts as a worker that died.
        catch (Exception error)
#pragma warning restore CA1031
        {
            log.EndNotNoted(error, report.ClaimId, report.Domain);
        }
    }

    private async Task TryDeliverAsync(DeliveryBatch batch, Task<Resolution> resolving, ConnectionTurn turn)
    {
        try
        {
            await DeliverByPoolAsync(batch, await resolving, turn);
        }
        catch (OperationCanceledException) when (lifetime.ApplicationStopping.IsCancellationRequested)
        {
            // What is left is handed back.
        }
#pragma warning disable CA1031 // The boundary of a batch: in doubt, temporary.
        catch (Exception error)
#pragma warning restore CA1031
        {
            batch.Unexpected(error);
            await batch.SettleRestAsync(AttemptOutcome.Deferred, "4.3.0", "Internal error", "");
        }
    }

    private async Task HandBackAsync(DeliveryBatch batch, Func<AttemptReport, Task> reportAsync)
    {
        var recipients = batch.TakeUnbegun();
        if (recipients.Count == 0)
            return;
        try
        {
            await claims.ReleaseAsync(batch.Claim.Id, recipients, CancellationToken.None);
        }
#pragma warning disable CA1031 // Storage is away: they are handed back with the report at the end, or by the lease.
        catch (Exception error)
#pragma warning restore CA1031
        {
            log.NotHandedBack(error, recipients.Count, batch.Claim.Id, batch.Domain);
            return;
        }

        log.HandedBack(recipients.Count, batch.Claim.Id, batch.Domain);
        await reportAsync(batch.ReportHandedBack(recipients));
    }

    private async Task<Claim?> TakeAsync(BatchCommand wanted, bool begun)
    {
        if (wanted.Recipients.Any(IsForOthers))
        {
            wanted = wanted with { Recipients = [.. wanted.Recipients.Where(recipient => !IsForOthers(recipient))] };
            if (wanted.Recipients.Length == 0)
                return null;
        }

        try
        {
            return await claims.TakeAsync(wanted, begun, lifetime.ApplicationStopping);
        }
#pragma warning disable CA1031 // Without a claim nothing is tried; if it was won all the same, its lease runs out.
        catch (Exception error)
#pragma warning restore CA1031
        {
            log.ClaimNotTaken(error, wanted.BatchId, wanted.Domain);
            return null;
        }
    }

    /// <summary>
    /// The broker delivers a batch again when it loses sight of the first worker, who may be at it all the same: he reports, and the
    /// queue is not told before that the batch is over. In doubt he is: the lease decides.
    /// </summary>
    private async Task<bool> IsHeldAsync(BatchCommand wanted)
    {
        try
        {
            return await claims.IsHeldAsync(wanted, CancellationToken.None);
        }
#pragma warning disable CA1031 // Storage is away; nothing is said that it could not confirm.
        catch (Exception error)
#pragma warning restore CA1031
        {
            log.ClaimNotTaken(error, wanted.BatchId, wanted.Domain);
            return true;
        }
    }

    /// <summary>A later version has accepted it, and asks for something that only its own workers can keep to.</summary>
    private static bool IsForOthers(Recipient recipient) => (recipient.Body & BodyType.Unknown) != 0;

    /// <summary>Nobody of it is claimed: it goes out again with a permit of that site, or, where it is the same, with one that counts.</summary>
    private AttemptReport Elsewhere(BatchCommand wanted, string site) => NothingWon(wanted) with { IsElsewhere = true, Site = site };

    private AttemptReport NothingWon(BatchCommand wanted)
    {
        var now = time.GetUtcNow();
        telemetry.Attempted(AttemptOutcome.NotAttempted, wanted.Recipients.Length);
        return new AttemptReport(
            wanted.Domain, wanted.BatchId, ClaimId: 0,
            Array.ConvertAll(wanted.Recipients, recipient => DeliveryBatch.NotAttempted(recipient.RecipientId, now)),
            Unreachable: false, NothingWon: true);
    }

    /// <summary>
    /// What leaves from different pools of source addresses goes over connections of its own, one pool after the other: each connection has ended before the
    /// next is made, so that a batch never has two.
    /// </summary>
    private async Task DeliverByPoolAsync(DeliveryBatch batch, Resolution resolution, ConnectionTurn turn)
    {
        var table = sources.Table;
        if (table.IsEmpty || resolution.Failure is not null || resolution.Hosts[0].IsSocket)
        {
            await DeliverAsync(batch, resolution, turn, outlet: null, keepsConnection: true);
            return;
        }

        var pools = batch.Divide(table.PoolsTo(batch.Domain));
        // Whoever could not be spoken to from one address may be from another: he is out of reach when that is so from each.
        bool? isUnreachable = null;
        foreach (var (index, pool) in pools.Index())
        {
            if (!batch.MayGoOn)
                break;
            batch.TakeUp(pool);
            batch.IsUnreachable = false;
            using var outlet = pool.Length == 0 ? null : new SourceOutlet(sources, pool, () => batch.Messages, batch.EndsConnection);
            var isTried = await DeliverAsync(batch, resolution, turn, outlet, keepsConnection: index == pools.Count - 1);
            if (isTried)
                isUnreachable = (isUnreachable ?? true) && batch.IsUnreachable;
        }

        batch.IsUnreachable = isUnreachable ?? false;
    }

    /// <returns>False: nothing was tried, for want of a source address.</returns>
    private async Task<bool> DeliverAsync(DeliveryBatch batch, Resolution resolution, ConnectionTurn turn, SourceOutlet? outlet, bool keepsConnection)
    {
        // Where an operator leads it, what the domain publishes stands in nobody's way.
        await DeliverAsync(batch, resolution, turn, outlet, keepsConnection, isLast: batch.IsRedirected);
        // RFC 8689 §3: what the domain publishes of TLS stood in the way of messages whose senders do not care.
        if (batch is { HasTlsOptional: true, MayGoOn: true, IsRedirected: false })
            await DeliverAsync(batch, await resolver.ResolveToAddressAsync(batch.Domain, isRelaxed: true), turn, outlet, keepsConnection, isLast: true);
        return outlet is not { HasPutOff: true };
    }

    private async Task DeliverAsync(
        DeliveryBatch batch, Resolution resolution, ConnectionTurn turn, SourceOutlet? outlet, bool keepsConnection, bool isLast)
    {
        if (resolution.Failure is { } failure)
        {
            turn.End();
            await GiveUpAsync(batch, failure, "", isLast);
            return;
        }

        if (await SpeakAsync(batch, resolution, turn, outlet, isLast) is { } connection)
        {
            connection.Source?.Rest();
            var name = keepsConnection && MayKeep(batch, connection) ? own.Find() : "";
            if (keepsConnection && !batch.EndsConnection)
                await turn.Slot!.KeepAsync(connection);
            else if (name.Length > 0 && turn.Slot!.TryKeepCounted(connection, batch.Id, KeptConnection.Time - time.GetElapsedTime(batch.SettledAt)))
                batch.KeptBy = name;
            else
                // Its host has let go of it before the report says so, and makes room for another.
                await connection.QuitSoonAsync();
        }

        // The time of the batch is over, and not every host was asked.
        if (batch.IsHeld)
            await batch.SettleUnsafeAsync(mayBeLater: true);
    }

    /// <summary>
    /// It is worth keeping for the next batch of its site. Not from the signal to stop on; and not where the claim is lost, whose permit may be
    /// another's by now.
    /// </summary>
    private bool MayKeep(DeliveryBatch batch, SmtpClientConnection connection) =>
        batch is { MayKeep: true, IsHeld: true, IsAskedToSlowDown: false, HasWork: false } && !connection.IsFull(MostMessages(batch, connection));

    private int MostMessages(DeliveryBatch batch, SmtpClientConnection connection) => Math.Min(
        connection.Capabilities.Limits.Messages, Math.Min(Bound(options.Value.MessagesPerConnection), Bound(batch.MessagesPerConnection)));

    private static int Bound(int most) => most == 0 ? int.MaxValue : most;

    /// <summary>Sends the batch over as many connections as it takes; returns the last one when it can be used again.</summary>
    private async Task<SmtpClientConnection?> SpeakAsync(
        DeliveryBatch batch, Resolution resolution, ConnectionTurn turn, SourceOutlet? outlet, bool isLast)
    {
        // Where an operator leads it says nothing of the hosts of the domain.
        batch.Site = batch.IsRedirected ? "" : resolution.Site;
        var walk = new HostWalk(resolution.Hosts, resolver, failures, connector, batch, _context, outlet);
        var connection = await ReuseAsync(turn.TakeKept(), resolution, batch, outlet);
        // It leads to whatever host was spoken to last.
        var mayReuse = true;
        while (true)
        {
            if (connection is null)
            {
                batch.TakeUpUnsafe();
                // Nobody holds a slot while he asks DNS.
                if (!walk.HasNext && turn.HasSpoken)
                    turn.End();
                if (await walk.NextAsync() is not { } address)
                {
                    if (!walk.HasAnswered)
                        turn.Failed();
                    turn.End();
                    if (outlet is not null && walk.OutOfReach is { } why)
                        await putOffs.PutOffAsync(batch, outlet, new SourceLack(SourceLackKind.Family, why));
                    else
                        await EndAsync(batch, walk, isLast);
                    return null;
                }

                // One that is kept for this batch has its source.
                if (outlet is not null && !turn.HasKept && !await putOffs.HasSourceAsync(batch, outlet, turn, address))
                    return null;
                if (!await turn.BeginAsync(address, batch.Claim))
                    return null;
                connection = await ReuseAsync(turn.TakeKept(), resolution, batch, outlet, mayReuse);
                if (connection is not null)
                    walk.Return();
                else if ((connection = await walk.ConnectAsync(turn.GiveUp)) is null)
                    continue;
            }

            connection.TryServe(batch.Domain);
            batch.HasHostAnswered = true;
            batch.Tls = connection.Security;
            batch.Worker = connection.Worker;
            batch.Allowance = connection.Source?.Allowance;
            batch.IsSafe = connection.Host.IsSocket || (connection.IsVerified && connection.Capabilities.RequireTls);
            var most = MostMessages(batch, connection);
            var pipeline = new TransactionPipeline(connection, batch, options.Value, time, turn.Slot!.Answered, most);
            try
            {
                using var late = turn.Slot.GiveUp.UnsafeRegister(state => ((SmtpClientConnection)state!).GiveUp(), connection);
                await pipeline.RunAsync();
            }
            catch
            {
                await connection.DisposeAsync();
                throw;
            }

            if (pipeline.ChunkRefusal is { } refusal)
            {
                connector.DistrustChunks(connection.RemoteHost);
                log.ChunksRefused(connection.RemoteHost, RemoteReply.Line(refusal));
            }

            if (pipeline.IsPipeliningBroken)
            {
                connector.DistrustPipelining(connection.RemoteHost);
                log.PipeliningBroken(connection.RemoteHost, pipeline.Failure!.Reply);
            }

            if (pipeline.Failure is null && connection is { HasUnreadInput: false, IsSpent: false })
            {
                // Its source may send no more today; others may.
                var isSpent = batch is { HasWork: true, Allowance.IsSpent: true };
                if (connection.IsFull(most) && !isSpent && batch.HasWork && batch.MayGoOn)
                {
                    await connection.QuitSoonAsync();
                    walk.Stay();
                    connection = null;
                    continue;
                }

                if (!(batch.WantsSaferHost || isSpent) || !batch.MayGoOn)
                    return connection;
                await connection.QuitSoonAsync();
                if (isSpent)
                    walk.Restart();
                else
                    walk.PassOn();
                mayReuse &= isSpent;
            }

            await connection.DisposeAsync();
            if (pipeline.Failure is { } failure && connection.HasAnswered)
                walk.Broke(failure, connection.RemoteHost, connection.Security, pipeline.HasProgressed);
            if (!(batch.HasWork || batch.WantsSaferHost) || !batch.MayGoOn)
                return null;
            connection = null;
        }
    }

    /// <summary>There is no address left to try.</summary>
    private async Task EndAsync(DeliveryBatch batch, HostWalk walk, bool isLast)
    {
        // A host that used up the batch's time has failed too; without the claim, or with nothing tried, all is handed back.
        if (!batch.MayGoOn && !(batch.IsHeld && walk.HasTried))
            return;
        await batch.SettleUnsafeAsync(mayBeLater: !walk.Failure.IsPermanent || walk.IsCutShort || !batch.MayGoOn);
        if (!batch.HasWork)
            return;
        if (walk.HasSpoken)
            await HandBackRestAsync(batch, walk);
        else
        {
            batch.Tls = walk.FailedTls;
            // What TLS the domain asks for is its own affair, and so is what DNS says of its hosts.
            batch.IsSiteUnreachable = walk is { HasTried: true, Failure.IsPermanent: false } && !walk.Failure.Status.StartsWith(OfSecurity, StringComparison.Ordinal);
            await GiveUpAsync(batch, walk.Failure, walk.FailedHost, isLast);
        }
    }

    /// <summary>One that a batch before has left, where it satisfies what the domain asks for now, and its host is one of those there are now.</summary>
    private async Task<SmtpClientConnection?> ReuseAsync(
        SmtpClientConnection? kept, Resolution resolution, DeliveryBatch batch, SourceOutlet? outlet, bool mayReuse = true)
    {
        if (kept is null)
            return null;
        var mayServe = kept.Source?.Source.Pool == outlet?.Pool && mayReuse && kept.IsQuiet && !kept.IsFull(MostMessages(batch, kept))
            && resolution.Hosts.Any(kept.Host.Serves) && kept.TryServe(batch.Domain);
        if (!mayServe || (kept.Source is { } source && !await source.WakeAsync(batch.Messages)))
        {
            // The far end is to have let go of one that is counted, here or for its source, before another takes its place.
            if (batch.EndsConnection || kept.Source is not null)
                await kept.QuitSoonAsync();
            await kept.DisposeAsync();
            return null;
        }

        kept.HasAnswered = false;
        kept.WasKept = true;
        telemetry.ConnectionReused();
        return kept;
    }

    /// <summary>
    /// Each host broke off, over some messages; the others were not tried, and what was said of those is nothing that they are told
    /// of. They stay due: at once, or after a back-off of the domain when it did not answer for a single message.
    /// </summary>
    private async Task HandBackRestAsync(DeliveryBatch batch, HostWalk walk)
    {
        var untried = await batch.SettleInterruptedAsync();
        if (untried == 0)
            return;
        batch.IsUnreachable = !walk.HasProgressed;
        log.HostsBrokeOff(batch.Domain, untried, walk.Failure.Text);
    }

    /// <param name="isLast">No further way is tried for messages that TLS need not be in the way of.</param>
    private async Task GiveUpAsync(DeliveryBatch batch, ResolutionFailure failure, string remoteHost, bool isLast)
    {
        var unsettled = batch.Unsettled;
        await batch.SettleRestAsync(
            failure.IsPermanent ? AttemptOutcome.Failed : AttemptOutcome.Deferred, failure.Status, failure.Text, remoteHost,
            keepsTlsOptional: !isLast && failure.Status.StartsWith(OfSecurity, StringComparison.Ordinal));
        var settled = unsettled - batch.Unsettled;
        // For those that are left nothing is said yet.
        if (settled == 0 && unsettled > 0)
            return;
        batch.IsUnreachable = !failure.IsPermanent;
        log.DomainUnreachable(batch.Domain, settled, failure.IsPermanent ? "fail" : "wait", failure.Text);
    }
}
