using MailPipeline.Contracts;
using MailPipeline.Queue.Sites;

namespace MailPipeline.Queue.Domains;

/// <summary>The delivery queue of one destination domain; the key is the domain in lower case.</summary>
internal interface IDomainQueueGrain : ISiteWaiter
{
    /// <summary>These recipients have just become due.</summary>
    Task OfferAsync(QueuedRecipient[] recipients);

    /// <summary>Storage says that something of the domain is due. True: so it was, and it was not known here.</summary>
    Task<bool> WakeAsync();

    /// <summary>A worker reports what became of a batch.</summary>
    Task CompleteAsync(AttemptsCompleted report);
}
