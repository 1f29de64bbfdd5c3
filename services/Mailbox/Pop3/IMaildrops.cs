using MailPipeline.Mail;
using MailPipeline.Sasl;
using MailPipeline.Storage;


namespace MailPipeline.Mailbox.Pop3;

/// <summary>
/// What POP3 needs of storage. Any method may throw <see cref="StorageUnavailableException"/>; where it does, nothing was
/// changed, unless the fault says that the outcome is unknown.
/// </summary>
internal interface IMaildrops
{
    /// <summary>The account that a client says it is; none when that is wrong, or cannot be looked at now.</summary>
    ValueTask<Verification> VerifyAsync(SaslClaim claim, LoginClient client);

    /// <summary>What SCRAM begins with for this name, whoever has it (<see cref="CredentialVerifier.FindScramKeysAsync"/>).</summary>
    ValueTask<ScramKeys> FindScramKeysAsync(string userName);

    /// <summary>Takes the maildrop for one session; null when another has it.</summary>
    Task<MaildropLease?> LockAsync(long accountId, CancellationToken cancellation);

    /// <summary>Keeps it.</summary>
    Task<LeaseUpdate> RenewAsync(MaildropLease lease, CancellationToken cancellation);

    Task UnlockAsync(MaildropLease lease, CancellationToken cancellation);

    /// <summary>The messages, oldest first.</summary>
    Task<IReadOnlyList<MaildropMessage>> ListAsync(long accountId, CancellationToken cancellation);

    /// <summary>
    /// Deletes these, at most <see cref="MaildropStore.MostDeletions"/>, in one step, which unlocks as well unless others follow.
    /// Where the lease is lost none of these is deleted.
    /// </summary>
    Task<LeaseUpdate> DeleteAsync(MaildropLease lease, IReadOnlyCollection<long> uids, bool goesOn, CancellationToken cancellation);

    /// <summary>The octets of a message, in chunks that are valid until the next one is asked for.</summary>
    IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync(MaildropMessage message, CancellationToken cancellation);
}

/// <summary>The maildrops in the store.</summary>
internal sealed class StoredMaildrops(MaildropStore store, CredentialVerifier credentials) : IMaildrops
{
    public ValueTask<Verification> VerifyAsync(SaslClaim claim, LoginClient client) => credentials.VerifyAsync(claim, client);

    public ValueTask<ScramKeys> FindScramKeysAsync(string userName) => credentials.FindScramKeysAsync(userName);

    public Task<MaildropLease?> LockAsync(long accountId, CancellationToken cancellation) =>
        store.LockAsync(accountId, cancellation);

    public Task<LeaseUpdate> RenewAsync(MaildropLease lease, CancellationToken cancellation) => store.RenewAsync(lease, cancellation);

    public Task UnlockAsync(MaildropLease lease, CancellationToken cancellation) => store.UnlockAsync(lease, cancellation);

    public Task<IReadOnlyList<MaildropMessage>> ListAsync(long accountId, CancellationToken cancellation) =>
        store.ListAsync(accountId, cancellation);

    public Task<LeaseUpdate> DeleteAsync(MaildropLease lease, IReadOnlyCollection<long> uids, bool goesOn, CancellationToken cancellation) =>
        store.DeleteAsync(lease, uids, goesOn, cancellation);

    public IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync(MaildropMessage message, CancellationToken cancellation) =>
        store.ReadAsync(message, cancellation);
}
