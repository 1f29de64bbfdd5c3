namespace MailPipeline.Mail;

/// <summary>
/// Recipients of one domain that are to be tried once, as the queue gives them out. It may come twice: whoever takes it must win a claim in
/// storage before he speaks to anybody.
/// </summary>
/// <param name="BatchId">Names it for ever; the domain queue knows it by this.</param>
/// <param name="Domain">The destination domain, lower case; also the name of the domain queue that waits for the report.</param>
/// <param name="Site">Whose permit it has; empty: no site is known; null: it goes wherever DNS leads.</param>
/// <param name="SiteEpoch">Of the permit; 0: it needs none. Where the site has another by now no claim is won.</param>
/// <param name="EndsConnection">Its connection is counted: it is not kept for whatever batch follows on this worker.</param>
/// <param name="Sender">Whose rate it has a permit of (<see cref="SenderRate"/>); null: of nobody's.</param>
/// <param name="SenderEpoch">Of that permit, as of the site's.</param>
/// <param name="RedirectTo">The next hop that a rule leads it to, in the place of the domain's hosts; null: to these.</param>
/// <param name="MayKeep">It may be kept for the batch that has its permit next (<see cref="KeptConnection"/>).</param>
/// <param name="KeptAfter">The batch that left the connection which this one is to go over; 0: none did.</param>
/// <param name="MessagesPerConnection">A connection takes no more messages than these; 0: nothing is said of it.</param>
public sealed record BatchCommand(
    long BatchId, string Domain, Recipient[] Recipients, string? Site = null, long SiteEpoch = 0, bool EndsConnection = false, string? Sender = null,
    long SenderEpoch = 0, string? RedirectTo = null, bool MayKeep = false, long KeptAfter = 0, int MessagesPerConnection = 0);

/// <summary>The right to try recipients once, won by one who took a command.</summary>
/// <param name="Id">Of this taking alone, for ever; the fence of every write that follows from it.</param>
/// <param name="Won">Whom it is for, by recipient id; none: there is no claim.</param>
/// <param name="IsStale">There is none because the permit of the command counts no more.</param>
public sealed record Claim(long Id, IReadOnlySet<long> Won, bool IsStale = false);
