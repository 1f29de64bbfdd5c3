namespace MailPipeline.Mail;

/// <summary>
/// Recipients of one domain that are to be tried once, as the queue gives them out. It may come twice: whoever takes it must win a claim in
/// storage before he speaks to anybody.
/// </summary>
/// <param name="BatchId">Names it for ever; the domain queue knows it by this.</param>
/// <param name="Domain">The destination domain, lower case; also the name of the domain queue that waits for the report.</param>
public sealed record BatchCommand(long BatchId, string Domain, Recipient[] Recipients);

/// <summary>The right to try recipients once, won by one who took a command.</summary>
/// <param name="Id">Of this taking alone, for ever; the fence of every write that follows from it.</param>
/// <param name="Won">Whom it is for, by recipient id; none: there is no claim.</param>
public sealed record Claim(long Id, IReadOnlySet<long> Won);
