namespace MailPipeline.Queue;

/// <summary>A pause that is twice as long each time, up to a longest, until it is forgotten.</summary>
internal sealed class GrowingPause(TimeSpan first, TimeSpan longest)
{
    private TimeSpan _last;
    private DateTimeOffset _until = DateTimeOffset.MinValue;

    /// <summary>No longer than it was meant to, should the clock be set back.</summary>
    public bool Lasts(DateTimeOffset now) => now < _until && _until - now <= _last;

    /// <summary>While one lasts none is added.</summary>
    public void Begin(DateTimeOffset now)
    {
        if (Lasts(now))
            return;
        _last = _last == TimeSpan.Zero ? first : _last * 2 < longest ? _last * 2 : longest;
        _until = now + _last;
    }

    public void Forget() => (_last, _until) = (TimeSpan.Zero, DateTimeOffset.MinValue);
}
