using MailPipeline.LineServer;

namespace MailPipeline.Ingress;

/// <summary>
/// How long the client of one session is waited for, and how much less while its listener is nearly full and it has not logged in: then it
/// has some time since its last accepted message, to which only content that comes at a decent rate adds, and which does not run while our
/// own storage keeps it waiting. Commands and octets that trickle in hold no place.
/// </summary>
internal sealed class SessionPatience(IngressOptions options, TimeProvider time) : IClientPatience
{
    /// <summary>
    /// For each line of a client that was greeted with 554: it has nothing to say but QUIT (RFC 5321 §3.1), which takes a round trip and a
    /// retransmission or two, and until then it keeps a place that an honest client may need.
    /// </summary>
    public static readonly TimeSpan TurnedAwayTimeout = TimeSpan.FromSeconds(10);

    // What has come at the decent rate moves it on, and what storage took.
    private long _countsFrom = time.GetTimestamp();

    // What others than storage took, of the wait under way.
    private long _elsewhere;

    /// <summary>Nobody shortens the time of who has logged in.</summary>
    public bool IsLoggedIn { get; set; }

    /// <summary>The client was greeted with 554.</summary>
    public bool IsTurnedAway { get; set; }

    /// <summary>When the content that comes in chunks has to be here, commands between them or not; <see cref="WaitEnd.Never"/>: none comes.</summary>
    public long ChunksEnd { get; set; } = WaitEnd.Never;

    private TimeSpan CommandTimeout =>
        IsTurnedAway && options.CommandTimeout > TurnedAwayTimeout ? TurnedAwayTimeout : options.CommandTimeout;

    public WaitEnd ForCommand() => new(Math.Min(ChunksEnd, After(CommandTimeout)), Crowded());

    /// <summary>How long it may take to read what we say: the last word too has its time.</summary>
    public WaitEnd ForReplies() => new(After(CommandTimeout), IsLoggedIn ? WaitEnd.Never : After(options.CrowdedCommandTimeout));

    /// <param name="latest">The end of all content of this message, see <see cref="ContentEnd"/>.</param>
    public WaitEnd ForContent(long latest) => new(Math.Min(latest, After(options.ContentTimeout)), Crowded());

    /// <summary>When the content that begins now has to be here.</summary>
    public long ContentEnd() => After(options.MaxContentTime);

    /// <summary>Content has come. What comes faster pays for what came slowly, and for nothing that is to come.</summary>
    public void Received(long octets) =>
        _countsFrom = Math.Min(time.GetTimestamp(), _countsFrom + WaitEnd.Ticks(time, TimeSpan.FromSeconds((double)octets / options.CrowdedRateBytes)));

    /// <summary>Storage is asked: until the answer is here time is not the client's. A password that waits for its turn is: guesses hold no place.</summary>
    public StorageWait BeginStorageWait() => new(this, time.GetTimestamp());

    /// <summary>
    /// Within a wait for storage: it is DNS that is asked, about the client, and that time is the client's: names of its own may have servers
    /// that never answer.
    /// </summary>
    public ElsewhereWait BeginElsewhereWait() => new(this, time.GetTimestamp());

    /// <summary>A message was accepted: time counts anew.</summary>
    public void Accepted() => _countsFrom = time.GetTimestamp();

    private void EndStorageWait(long began)
    {
        _countsFrom += time.GetTimestamp() - began - _elsewhere;
        _elsewhere = 0;
    }

    private long Crowded() =>
        IsLoggedIn ? WaitEnd.Never : Math.Min(After(options.CrowdedCommandTimeout), _countsFrom + WaitEnd.Ticks(time, options.CrowdedSessionTime));

    private long Now => time.GetTimestamp();

    private long After(TimeSpan patience) => WaitEnd.After(time, patience);

    /// <summary>From a question to storage until it is disposed of.</summary>
    internal readonly struct StorageWait(SessionPatience patience, long began) : IDisposable
    {
        public void Dispose() => patience.EndStorageWait(began);
    }

    /// <summary>From a question to DNS until it is disposed of.</summary>
    internal readonly struct ElsewhereWait(SessionPatience patience, long began) : IDisposable
    {
        public void Dispose() => patience._elsewhere += patience.Now - began;
    }
}
