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

    /// <summary>The batch has ended, and its permit with it. What gets lost is found by asking storage who holds a claim.</summary>
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
}

/// <param name="Messages">At most so many are wanted.</param>
/// <param name="Insists">Somebody wants the domain tried now, as storage says: the site looks whether it says so of the site.</param>
[GenerateSerializer, Immutable]
internal sealed record SiteAsk(
    [property: Id(0)] string Domain, [property: Id(1)] long BatchId, [property: Id(2)] int Messages, [property: Id(3)] bool Insists);

/// <summary>Either, or neither: whoever asked waits.</summary>
[GenerateSerializer, Immutable]
internal sealed record SiteAnswer([property: Id(0)] SitePermit? Permit, [property: Id(1)] SiteRest? Rest)
{
    public static readonly SiteAnswer Wait = new(null, null);
}

/// <summary>The right to one connection.</summary>
/// <param name="Messages">At most so many may be in the batch.</param>
/// <param name="Epoch">By which the claim is won; 0: by none.</param>
/// <param name="IsLimited">Its connection is not kept beyond the batch.</param>
/// <param name="IsPaced">The site wants to know when each message was sent.</param>
[GenerateSerializer, Immutable]
internal sealed record SitePermit(
    [property: Id(0)] long BatchId, [property: Id(1)] int Messages, [property: Id(2)] long Epoch, [property: Id(3)] bool IsLimited, [property: Id(4)] bool IsPaced);

/// <param name="Failures">Rests in a row.</param>
[GenerateSerializer, Immutable]
internal sealed record SiteRest([property: Id(0)] int Failures, [property: Id(1)] DateTimeOffset Until, [property: Id(2)] string Reason);

/// <param name="Messages">That were in the batch.</param>
/// <param name="Sent">Of a batch that is paced, how long ago each of those that were sent was, at least.</param>
/// <param name="HasProgressed">Some message was answered for.</param>
/// <param name="Reason">The reply, or what failed.</param>
[GenerateSerializer, Immutable]
internal sealed record SiteReport(
    [property: Id(0)] string Domain, [property: Id(1)] long BatchId, [property: Id(2)] int Messages, [property: Id(3)] TimeSpan[] Sent, [property: Id(4)] SiteState State,
    [property: Id(5)] bool HasProgressed, [property: Id(6)] string Reason)
{
    /// <summary>Nothing of it was tried.</summary>
    public static SiteReport Untouched(string domain, long batchId) => new(domain, batchId, 0, [], SiteState.Unsaid, HasProgressed: false, "");
}
