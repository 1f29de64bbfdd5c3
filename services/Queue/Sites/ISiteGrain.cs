using MailPipeline.Mail;
using Orleans.Concurrency;

namespace MailPipeline.Queue.Sites;

/// <summary>
/// What domains whose mail goes to the same hosts share: how many connections, how many messages a second, and rests. The key is that of the
/// site, as attempts report it; or that of a sender's rate (<see cref="Mail.SenderRate"/>), of which each batch of his has a permit as well.
/// </summary>
internal interface ISiteGrain : IGrainWithStringKey
{
    /// <summary>
    /// Asks for a permit for one batch. Who has to wait is called when his turn comes (<see cref="ISiteWaiter"/>). Asking again, for the same
    /// batch or another, keeps the place.
    /// </summary>
    [ResponseTimeout("00:00:05")]
    ValueTask<SiteAnswer> AskAsync(SiteAsk ask);

    /// <summary>
    /// The batch has ended, and its permit with it, unless its connection is kept for the next one. What gets lost is found by asking storage
    /// who holds a claim.
    /// </summary>
    [OneWay]
    Task EndAsync(SiteReport report);

    /// <summary>These batches are under way. Said again and again, so that nobody takes them for lost.</summary>
    [OneWay]
    Task AssertAsync(string domain, long[] batchIds);
}

/// <summary>Whoever waits for a permit: the queue of a domain.</summary>
internal interface ISiteWaiter : IGrainWithStringKey
{
    /// <summary>It is his turn. False: nobody waits there any more for what this site gives.</summary>
    [ResponseTimeout("00:00:05")]
    Task<bool> TakePermitAsync(string site, SitePermit permit);

    /// <summary>The site rests: there is no use in waiting for it.</summary>
    [OneWay]
    Task FollowRestAsync(string site, SiteRest rest);

    /// <summary>Somebody waits at the site: what has ended and was not told yet is told now, and what ends later at once.</summary>
    [OneWay]
    Task TellEndsAsync(string site);
}

/// <param name="Messages">At most so many are wanted.</param>
/// <param name="Insists">Somebody wants the domain tried now, as storage says: the site looks whether it says so of the site.</param>
[GenerateSerializer, Immutable]
internal sealed record SiteAsk(
    [property: Id(0)] string Domain, [property: Id(1)] long BatchId, [property: Id(2)] int Messages, [property: Id(3)] bool Insists)
{
    /// <summary>What has ended before (<see cref="ISiteGrain.EndAsync"/>), and could wait until now; null: nothing.</summary>
    [Id(4)]
    public SiteReport[]? Ends { get; init; }

    /// <summary>Whoever asks knows what to do with a connection that is kept. Silos of before do not.</summary>
    [Id(5)]
    public bool TakesKept { get; init; }
}

/// <summary>Either, or neither: whoever asked waits.</summary>
[GenerateSerializer, Immutable]
internal sealed record SiteAnswer([property: Id(0)] SitePermit? Permit, [property: Id(1)] SiteRest? Rest)
{
    public static readonly SiteAnswer Wait = new(null, null);
}

/// <summary>The right to one connection.</summary>
/// <param name="Messages">At most so many may be in the batch.</param>
/// <param name="Epoch">By which the claim is won; 0: by none.</param>
/// <param name="IsLimited">Its connection is not kept beyond the batch without a word to the site.</param>
/// <param name="IsPaced">The site wants to know when each message was sent.</param>
[GenerateSerializer, Immutable]
internal sealed record SitePermit(
    [property: Id(0)] long BatchId, [property: Id(1)] int Messages, [property: Id(2)] long Epoch, [property: Id(3)] bool IsLimited, [property: Id(4)] bool IsPaced)
{
    /// <summary>The right to this one: whoever keeps it has the batch, and nobody else may. Null: to a new one, by whichever worker.</summary>
    [Id(5)]
    public KeptPermit? Kept { get; init; }

    /// <summary>The site has so much room that the end of the batch may be told with the next question.</summary>
    [Id(6)]
    public bool MayEndLate { get; init; }

    /// <summary>A connection takes no more messages than these; 0: nothing is said of it.</summary>
    [Id(7)]
    public int MessagesPerConnection { get; init; }

    /// <summary>The site counts its connection while it is kept for the next batch. Silos of before do not.</summary>
    [Id(8)]
    public bool MayKeep { get; init; }
}

/// <summary>A connection that a worker keeps for the next batch.</summary>
/// <param name="After">The batch that left it.</param>
/// <param name="Worker">Its endpoint.</param>
[GenerateSerializer, Immutable]
internal sealed record KeptPermit([property: Id(0)] long After, [property: Id(1)] string Worker);

/// <param name="Failures">Rests in a row.</param>
[GenerateSerializer, Immutable]
internal sealed record SiteRest([property: Id(0)] int Failures, [property: Id(1)] DateTimeOffset Until, [property: Id(2)] string Reason);

/// <summary>What became of the connection that a permit was for.</summary>
internal enum ConnectionEnd
{
    /// <summary>Its worker says that it is closed.</summary>
    Closed = 0,

    /// <summary>There was none: nobody was given the batch.</summary>
    Unused = 1,

    /// <summary>Its worker keeps it.</summary>
    Kept = 2,

    /// <summary>Nobody has said it: a worker may keep it for a while.</summary>
    Unknown = 3,
}

/// <param name="Messages">That were in the batch.</param>
/// <param name="Sent">Of a batch that is paced, how long ago each of those that were sent was, at least.</param>
/// <param name="HasProgressed">Some message was answered for.</param>
/// <param name="Reason">The reply, or what failed.</param>
[GenerateSerializer, Immutable]
internal sealed record SiteReport(
    [property: Id(0)] string Domain, [property: Id(1)] long BatchId, [property: Id(2)] int Messages, [property: Id(3)] TimeSpan[] Sent, [property: Id(4)] SiteState State,
    [property: Id(5)] bool HasProgressed, [property: Id(6)] string Reason)
{
    [Id(7)]
    public ConnectionEnd Connection { get; init; }

    /// <summary>Who keeps it (<see cref="KeptPermit.Worker"/>); empty: nobody does.</summary>
    [Id(8)]
    public string Worker { get; init; } = "";

    /// <summary>Nothing of it was tried.</summary>
    /// <param name="connection">Of one that was never given out it is <see cref="ConnectionEnd.Unused"/>.</param>
    public static SiteReport Untouched(string domain, long batchId, ConnectionEnd connection = ConnectionEnd.Unused) =>
        new(domain, batchId, 0, [], SiteState.Unsaid, HasProgressed: false, "") { Connection = connection };
}
