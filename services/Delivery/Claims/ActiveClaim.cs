namespace MailPipeline.Delivery.Claims;

/// <summary>
/// One claim this process works under. It is valid only as far as the monotonic clock proves that no other worker can
/// have it: a process that was stopped and wakes up finds its claims invalid before it has asked anybody.
/// </summary>
internal sealed class ActiveClaim(long id, TimeProvider time)
{
    private long _validUntil = long.MinValue;
    private volatile bool _lost;
    private volatile bool _isEnding;

    public long Id { get; } = id;

    /// <summary>Storage said that the claim is no longer ours.</summary>
    public bool IsLost => _lost;

    public bool IsValid => !_lost && time.GetTimestamp() < Volatile.Read(ref _validUntil);

    /// <summary>Storage has confirmed the claim for a question that left at <paramref name="askedAt"/>.</summary>
    public void Confirm(long askedAt, TimeSpan validity)
    {
        var until = askedAt + (long)(validity.TotalSeconds * time.TimestampFrequency);
        if (until > Volatile.Read(ref _validUntil))
            Volatile.Write(ref _validUntil, until);
    }

    public void Lose() => _lost = true;

    /// <summary>The record that ends it is under way: that storage does not have it any more says nothing.</summary>
    public bool IsEnding => _isEnding;

    public void BeginEnd() => _isEnding = true;
}
