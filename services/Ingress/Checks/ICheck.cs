namespace MailPipeline.Ingress.Checks;

/// <summary>
/// One question about mail at the door. One object for all sessions, asked from many at once; what a session is about stands in the context.
/// Where and on which listeners it is asked, <see cref="CheckTable"/> says.
/// </summary>
internal interface ICheck
{
    /// <summary>It looks into the header section of a message, which then has to be kept until it is asked.</summary>
    bool ReadsHeader => false;

    /// <summary>It looks at the whole content while that streams, by <see cref="ObserveContent"/>.</summary>
    bool ObservesContent => false;

    /// <summary>
    /// A message begins: who looks at its content for this check, which is asked when that has ended, if it is not refused before; null where
    /// nobody needs to look at this one.
    /// </summary>
    IContentObserver? ObserveContent(CheckContext context) => throw new NotSupportedException("It observes no content.");

    /// <summary>
    /// What becomes of what is proposed. To go on costs no allocation. Storage that is away may be thrown as it is: the client hears "later".
    /// </summary>
    ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation);
}

/// <summary>When a check is asked, in the order of a session.</summary>
internal enum CheckStage
{
    /// <summary>Before the greeting, about <see cref="CheckContext.Client"/>.</summary>
    Connection,

    /// <summary>At EHLO and HELO, about <see cref="CheckContext.ClientName"/>.</summary>
    Hello,

    /// <summary>At MAIL, about <see cref="CheckContext.Sender"/>.</summary>
    Sender,

    /// <summary>At RCPT, about <see cref="CheckContext.Recipient"/>.</summary>
    Recipient,

    /// <summary>Behind the final dot and before the commit, about <see cref="CheckContext.Content"/>.</summary>
    Content,
}
