namespace MailPipeline.Delivery.Batches;

/// <summary>What a batch knows of its dots: whose may come, and whose cannot matter any more.</summary>
internal interface IDots
{
    /// <summary>The messages that are sent next, in order, at most so many.</summary>
    OutboundMessage[] Upcoming(int count);

    /// <summary>He has an answer that delivers nothing, or his delivery is recorded.</summary>
    bool IsSettled(long recipientId);
}
