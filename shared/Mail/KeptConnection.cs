namespace MailPipeline.Mail;

/// <summary>
/// What workers and the site agree on about a connection that is counted and kept between two batches. The worker ends it without a word from
/// anybody, so the site need not ask whether it is still there.
/// </summary>
public static class KeptConnection
{
    /// <summary>From the last message that went over it.</summary>
    public static readonly TimeSpan Time = TimeSpan.FromSeconds(2);

    /// <summary>After so long it is surely closed: with its time, a second for the goodbye, and one for what is late.</summary>
    public static readonly TimeSpan Gone = TimeSpan.FromSeconds(4);
}
