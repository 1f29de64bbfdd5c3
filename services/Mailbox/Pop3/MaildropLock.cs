using MailPipeline.Mail;
using MailPipeline.Storage;

namespace MailPipeline.Mailbox.Pop3;

/// <summary>
/// A session's hold on its maildrop: a lease renewed in the background. When it is lost, <see cref="Lost"/> fires and
/// nothing can be deleted any more; storage refuses, whatever this process believes.
/// </summary>
internal sealed class MaildropLock : IAsyncDisposable
{
    // Unlocking is a courtesy: the lease runs out by itself.
    private static readonly TimeSpan UnlockTimeout = TimeSpan.FromSeconds(5);

    private readonly IMaildrops _maildrops;
    private readonly MaildropLease _lease;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stop = new();
    private readonly CancellationTokenSource _lost = new();
    private readonly Task _renewing;
    private bool _held = true;

    private MaildropLock(IMaildrops maildrops, MaildropLease lease, TimeSpan renewalInterval, TimeProvider time, ILogger logger)
    {
        _maildrops = maildrops;
        _lease = lease;
        _time = time;
        _logger = logger;
        _renewing = RenewAsync(new PeriodicTimer(renewalInterval, time));
    }

    /// <summary>Fires when another session may have taken the maildrop.</summary>
    public CancellationToken Lost => _lost.Token;

    /// <summary>Locks the maildrop; null when another session has it.</summary>
    public static async Task<MaildropLock?> TakeAsync(
        IMaildrops maildrops, Account account, TimeSpan renewalInterval, TimeProvider time, ILogger logger)
    {
        // Not cancelled: a lock whose taker went away would stand until its lease runs out.
        var lease = await maildrops.LockAsync(account.Id, CancellationToken.None);
        return lease is null ? null : new MaildropLock(maildrops, lease, renewalInterval, time, logger);
    }

    /// <summary>Messages that <see cref="CommitAsync"/> has deleted, also when it failed in the middle.</summary>
    public int Deleted { get; private set; }

    /// <summary>Deletes these messages piece by piece, and unlocks. False: the lease was lost, and the rest is not deleted.</summary>
    public async Task<bool> CommitAsync(IReadOnlyList<long> uids)
    {
        await StopRenewingAsync();
        if (uids.Count == 0)
        {
            await UnlockAsync();
            return true;
        }
        // A piece is what others wait for who write to storage at the same time, each of them prolongs the lease.
        foreach (var piece in uids.Chunk(MaildropStore.MostDeletions))
        {
            // Not cancelled: the client hears what became of it.
            if (await _maildrops.DeleteAsync(_lease, piece, goesOn: Deleted + piece.Length < uids.Count, CancellationToken.None) == LeaseUpdate.LeaseLost)
            {
                _held = false;
                return false;
            }
            Deleted += piece.Length;
        }
        _held = false;
        return true;
    }

    public async ValueTask DisposeAsync()
    {
        await StopRenewingAsync();
        await UnlockAsync();
        _stop.Dispose();
        _lost.Dispose();
    }

    private async Task StopRenewingAsync()
    {
        await _stop.CancelAsync();
        await _renewing;
    }

    private async Task UnlockAsync()
    {
        if (!_held)
            return;
        _held = false;
        try
        {
            using var timeout = new CancellationTokenSource(UnlockTimeout, _time);
            await _maildrops.UnlockAsync(_lease, timeout.Token);
        }
        catch (Exception failure) when (failure is StorageUnavailableException or OperationCanceledException)
        {
            _logger.UnlockFailed(_lease.AccountId, failure);
        }
    }

    private async Task RenewAsync(PeriodicTimer timer)
    {
        using (timer)
        {
            try
            {
                while (await timer.WaitForNextTickAsync(_stop.Token))
                {
                    if (await TryRenewAsync() == LeaseUpdate.Applied)
                        continue;
                    _held = false;
                    await _lost.CancelAsync();
                    return;
                }
            }
            catch (OperationCanceledException)
            {
                // The session ends.
            }
        }
    }

    private async Task<LeaseUpdate> TryRenewAsync()
    {
        try
        {
            return await _maildrops.RenewAsync(_lease, _stop.Token);
        }
        catch (Exception failure) when (failure is not OperationCanceledException)
        {
            // Perhaps the next one comes through. Reading harms nobody, and deleting asks storage again.
            _logger.RenewalFailed(_lease.AccountId, failure);
            return LeaseUpdate.Applied;
        }
    }
}
