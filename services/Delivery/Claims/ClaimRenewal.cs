using System.Collections.Concurrent;

namespace MailPipeline.Delivery.Claims;

/// <summary>
/// Keeps alive the claims of all batches that run in this process, with one statement every third of the lease. A claim
/// that storage no longer grants is marked lost, and its batch stops before the next message.
/// </summary>
internal sealed class ClaimRenewal(IClaims claims, DeliveryTelemetry telemetry, TimeProvider time, ILogger<ClaimRenewal> log)
    : BackgroundService
{
    private readonly ConcurrentDictionary<long, ActiveClaim> _active = new();

    public int Count => _active.Count;

    /// <summary>
    /// What may be believed of a lease: a fifth is kept back for the two clocks to differ and for bytes to reach the wire.
    /// </summary>
    private TimeSpan Validity => claims.Lease * 0.8;

    /// <summary>Adds a claim won by a question that left at <paramref name="askedAt"/> (monotonic).</summary>
    public ActiveClaim Begin(long claimId, long askedAt)
    {
        var claim = new ActiveClaim(claimId, time);
        claim.Confirm(askedAt, Validity);
        _active[claimId] = claim;
        return claim;
    }

    public void End(ActiveClaim claim) => _active.TryRemove(KeyValuePair.Create(claim.Id, claim));

    internal async Task RenewAllAsync(CancellationToken cancellationToken)
    {
        ActiveClaim[] all = [.. _active.Values];
        if (all.Length == 0)
            return;
        var askedAt = time.GetTimestamp();
        var held = await claims.RenewAsync([.. all.Select(claim => claim.Id)], cancellationToken);
        foreach (var claim in all)
        {
            if (held.Contains(claim.Id))
            {
                claim.Confirm(askedAt, Validity);
            }
            else if (_active.ContainsKey(claim.Id) && !claim.IsLost && !claim.IsEnding)
            {
                claim.Lose();
                telemetry.ClaimLost();
                log.ClaimLost(claim.Id);
            }
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        telemetry.CountFromZero();
        var period = claims.Lease / 3;
        using var timer = new PeriodicTimer(period, time);
        while (await WaitAsync(timer, stoppingToken))
        {
            try
            {
                await RenewAllAsync(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
#pragma warning disable CA1031 // A timer tick: storage is away, the next tick asks again, meanwhile the clock ends the claims.
            catch (Exception error)
#pragma warning restore CA1031
            {
                log.RenewalFailed(error);
            }
        }
    }

    private static async Task<bool> WaitAsync(PeriodicTimer timer, CancellationToken stoppingToken)
    {
        try
        {
            return await timer.WaitForNextTickAsync(stoppingToken);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }
}
