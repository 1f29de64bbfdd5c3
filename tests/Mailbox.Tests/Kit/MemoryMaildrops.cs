using System.Runtime.CompilerServices;
using System.Text;
using MailPipeline.Mail;
using MailPipeline.Mailbox.Pop3;
using MailPipeline.Sasl;
using MailPipeline.Storage;

namespace MailPipeline.Mailbox.Tests.Kit;

/// <summary>Maildrops in memory, with leases like those of the store, and with faults that a test plants.</summary>
internal sealed class MemoryMaildrops : IMaildrops
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, (Account Account, string Password)> _accounts = new(StringComparer.OrdinalIgnoreCase);
    private readonly Dictionary<long, long> _leases = [];
    private readonly SortedDictionary<long, (long AccountId, byte[] Octets)> _messages = [];

    /// <summary>The uids of messages that came with SMTPUTF8 and need it.</summary>
    public HashSet<long> InUtf8 { get; } = [];
    private long _fence;
    private int _deletions;

    /// <summary>Thrown by the method of that name instead of doing anything.</summary>
    public Dictionary<string, StorageFault> Faults { get; } = [];

    /// <summary>So many deletions succeed before the fault planted for them shows.</summary>
    public int DeletionsBeforeFault { get; set; }

    /// <summary>So many deletions succeed before another session takes the maildrop.</summary>
    public int? StealAfterDeletions { get; set; }

    /// <summary>Read of a message fails after so many octets.</summary>
    public int? ReadBreaksAfter { get; set; }

    /// <summary>The content of a message is only so long, as if the rest were lost.</summary>
    public int? ReadEndsAfter { get; set; }

    /// <summary>Size of the chunks in which messages are read.</summary>
    public int ChunkBytes { get; set; } = 1000;

    /// <summary>Chunks read so far, over all messages.</summary>
    public int ChunksRead { get; private set; }

    /// <summary>Completed by each renewal.</summary>
    public TaskCompletionSource Renewed { get; private set; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public long AddAccount(string address, string password)
    {
        var account = new Account(_accounts.Count + 1, address, StoredPassword.Create(password, ScramKeys.LeastIterations));
        _accounts.Add(address, (account, password));
        return account.Id;
    }

    public long AddMessage(long accountId, string octets) => AddMessage(accountId, Encoding.Latin1.GetBytes(octets));

    public long AddMessage(long accountId, byte[] octets)
    {
        lock (_gate)
        {
            var uid = _messages.Count == 0 ? 0x10000 : _messages.Keys.Max() + 0x10000;
            _messages.Add(uid, (accountId, octets));
            return uid;
        }
    }

    /// <summary>No message is left, and new ones have the uids of the first ones.</summary>
    public void Clear()
    {
        lock (_gate)
            _messages.Clear();
    }

    public long[] Uids
    {
        get
        {
            lock (_gate)
                return [.. _messages.Keys];
        }
    }

    public bool IsLocked(long accountId)
    {
        lock (_gate)
            return _leases.ContainsKey(accountId);
    }

    /// <summary>Another session takes the maildrop, as after a lease that ran out.</summary>
    public void Steal(long accountId)
    {
        lock (_gate)
            _leases[accountId] = ++_fence;
    }

    public ValueTask<Verification> VerifyAsync(SaslClaim claim, LoginClient client)
    {
        Fail();
        return ValueTask.FromResult(new Verification(
            _accounts.TryGetValue(claim.UserName, out var known)
            && (claim is PasswordClaim password ? known.Password == password.Password : claim is ScramClaim { IsProven: true }) ? known.Account : null, IsBusy));
    }

    public ValueTask<ScramKeys> FindScramKeysAsync(string userName)
    {
        Fail();
        return ValueTask.FromResult(
            ScramKeys.Parse(_accounts.TryGetValue(userName, out var known) ? known.Account.Password.ScramKeys : "")
            ?? ScramKeys.Decoy([], userName, ScramKeys.LeastIterations));
    }

    /// <summary>No password is looked at.</summary>
    public bool IsBusy { get; set; }

    public async Task<MaildropLease?> LockAsync(long accountId, CancellationToken cancellation)
    {
        await Task.Yield();
        Fail();
        lock (_gate)
            return _leases.TryAdd(accountId, _fence + 1) ? new MaildropLease(accountId, ++_fence) : null;
    }

    public Task<LeaseUpdate> RenewAsync(MaildropLease lease, CancellationToken cancellation)
    {
        var renewed = Renewed;
        Renewed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        renewed.SetResult();
        Fail();
        lock (_gate)
            return Task.FromResult(IsHeld(lease) ? LeaseUpdate.Applied : LeaseUpdate.LeaseLost);
    }

    public Task UnlockAsync(MaildropLease lease, CancellationToken cancellation)
    {
        Fail();
        lock (_gate)
        {
            if (IsHeld(lease))
                _leases.Remove(lease.AccountId);
        }
        return Task.CompletedTask;
    }

    public Task<IReadOnlyList<MaildropMessage>> ListAsync(long accountId, CancellationToken cancellation)
    {
        Fail();
        lock (_gate)
        {
            return Task.FromResult<IReadOnlyList<MaildropMessage>>([.. _messages
                .Where(entry => entry.Value.AccountId == accountId)
                .Select(entry => new MaildropMessage(entry.Key, entry.Key >> 16, entry.Value.Octets.Length, "", InUtf8.Contains(entry.Key) ? BodyType.SmtpUtf8 : BodyType.SevenBit))]);
        }
    }

    public async Task<LeaseUpdate> DeleteAsync(MaildropLease lease, IReadOnlyCollection<long> uids, bool goesOn, CancellationToken cancellation)
    {
        await Task.Yield();
        if (++_deletions > DeletionsBeforeFault)
            Fail();
        if (_deletions > StealAfterDeletions)
            Steal(lease.AccountId);
        lock (_gate)
        {
            if (!IsHeld(lease))
                return LeaseUpdate.LeaseLost;
            foreach (var uid in uids)
                _messages.Remove(uid);
            if (!goesOn)
                _leases.Remove(lease.AccountId);
            return LeaseUpdate.Applied;
        }
    }

    public async IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync(
        MaildropMessage message, [EnumeratorCancellation] CancellationToken cancellation)
    {
        await Task.Yield();
        Fail();
        byte[] octets;
        lock (_gate)
            octets = _messages[message.Uid].Octets;
        for (var position = 0; position < octets.Length; position += ChunkBytes)
        {
            if (position >= ReadBreaksAfter)
                throw new StorageUnavailableException(StorageFault.Unavailable, "planted");
            if (position >= ReadEndsAfter)
                yield break;
            ChunksRead++;
            yield return octets.AsMemory(position, Math.Min(ChunkBytes, octets.Length - position));
        }
    }

    private bool IsHeld(MaildropLease lease) => _leases.TryGetValue(lease.AccountId, out var fence) && fence == lease.Fence;

    private void Fail([CallerMemberName] string method = "")
    {
        if (Faults.TryGetValue(method, out var fault))
            throw new StorageUnavailableException(fault, "planted");
    }
}
