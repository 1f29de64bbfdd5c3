namespace MailPipeline.Mail;

/// <summary>
/// The right to try recipients of one domain once, as the queue gives it out: whoever takes it must win it in storage before he speaks
/// to anybody.
/// </summary>
/// <param name="Id">Names it for ever; the fence of every write that follows from it.</param>
/// <param name="Domain">The destination domain, lower case; also the name of the domain queue that waits for the report.</param>
public sealed record Claim(long Id, string Domain, Recipient[] Recipients);
