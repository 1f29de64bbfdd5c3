using System.Net;
using MailPipeline.Delivery.Batches;
using MailPipeline.Delivery.Claims;
using MailPipeline.Delivery.Smtp;
using MailPipeline.Mail;

namespace MailPipeline.Delivery.Connections;

/// <summary>
/// The turn of one batch among those that want a connection: at once where a slot is free, otherwise after a wait that ends with the
/// batch's time. Before the first host is dialled storage knows that the attempt has begun.
/// </summary>
/// <param name="keptAfter">The batch that left the connection which this one is to go over, and whose place it has; 0: none did.</param>
internal sealed class ConnectionTurn(
    ConnectionSlots slots, IClaims claims, BatchWaits waits, string domain, long keptAfter, TimeProvider time, TimeSpan batchTime,
    CancellationToken stopping) : IDisposable
{
    private readonly CancellationTokenSource _patience = new(batchTime, time);
    private CancellationTokenSource? _either;
    private SmtpClientConnection? _kept;

    /// <summary>The slot that is held now.</summary>
    public ConnectionSlot? Slot { get; private set; }

    /// <summary>A host may be dialled, and storage knows it.</summary>
    public bool HasBegun { get; private set; }

    /// <summary>The connection that came with the batch's permit is there, and was not taken yet.</summary>
    public bool HasKept => keptAfter != 0 && slots.HasKept(keptAfter);

    /// <summary>A slot was taken and used.</summary>
    public bool HasSpoken { get; private set; }

    /// <summary>Ends an attempt to connect: the batch's time is over, or the slot's, and others wait.</summary>
    public CancellationToken GiveUp => Either().Token;

    /// <summary>Takes a slot if one is free now. Before the claim is taken, which then says that it has begun.</summary>
    public void TryBegin(IPAddress first)
    {
        // It stays with those that end by themselves until the claim is won: nobody knows how long that takes.
        if (keptAfter != 0)
        {
            HasBegun = HasKept;
            return;
        }

        Slot = slots.TryTake(domain, first);
        _kept = Slot?.Kept;
        HasBegun = Slot is not null;
    }

    /// <summary>A slot for this address, waited for if it must. False: time is over, the process stops, or the claim is lost.</summary>
    public async Task<bool> BeginAsync(IPAddress address, ActiveClaim claim)
    {
        HasSpoken = true;
        if (Slot is null)
        {
            using var either = CancellationTokenSource.CreateLinkedTokenSource(_patience.Token, stopping);
            var taking = TakeAsync(address, either.Token);
            await waits.ForAsync(taking, BatchWaitReason.Connection);
            try
            {
                Slot = await taking;
            }
            catch (OperationCanceledException)
            {
                return false;
            }

            _kept = Slot.Kept;
        }

        return HasBegun || (HasBegun = await claims.BeginAsync(claim.Id, stopping) == ClaimUpdate.Applied);
    }

    private async Task<ConnectionSlot> TakeAsync(IPAddress address, CancellationToken cancellationToken) =>
        (keptAfter == 0 ? null : await slots.TakeKeptAsync(keptAfter, domain, address)) ?? await slots.TakeAsync(domain, address, cancellationToken);

    /// <summary>Whatever was kept for this batch, and was not used, is closed: it counts no more when the batch has ended.</summary>
    public Task EndKeptAsync() => keptAfter == 0 ? Task.CompletedTask : slots.EndKeptAsync(keptAfter);

    /// <summary>
    /// Waits for something else that a connection needs, as for a slot: none is held meanwhile, the batch is seen to wait, and the wait ends with the batch's
    /// time. Throws when that is over, or the process stops.
    /// </summary>
    public async Task<T> WaitAsync<T>(Func<CancellationToken, Task<T>> wait, BatchWaitReason reason)
    {
        End();
        using var either = CancellationTokenSource.CreateLinkedTokenSource(_patience.Token, stopping);
        var waiting = wait(either.Token);
        await waits.ForAsync(waiting, reason);
        return await waiting;
    }

    /// <summary>The connection that came with the slot, once.</summary>
    public SmtpClientConnection? TakeKept()
    {
        var kept = _kept;
        _kept = null;
        return kept;
    }

    /// <summary>The destination could not be spoken to.</summary>
    public void Failed() => Slot?.Failed();

    /// <summary>Gives the slot back, if one is held.</summary>
    public void End()
    {
        _either?.Dispose();
        _either = null;
        // One that is counted is closed before anybody is told that the batch has ended.
        if (TakeKept() is { } kept)
            _ = keptAfter == 0 ? kept.QuitAsync() : kept.DisposeAsync().AsTask();
        Slot?.Release();
        Slot = null;
    }

    public void Dispose()
    {
        End();
        _patience.Dispose();
    }

    private CancellationTokenSource Either() => _either ??= CancellationTokenSource.CreateLinkedTokenSource(_patience.Token, Slot!.GiveUp);
}
