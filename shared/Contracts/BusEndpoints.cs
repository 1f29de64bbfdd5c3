namespace MailPipeline.Contracts;

/// <summary>Where each message goes: the names of the bus endpoints, which are those of its queues in RabbitMQ, and of the endpoint that a consumer is defined for.</summary>
public static class BusEndpoints
{
    /// <summary>MessageAccepted, consumed by Queue.</summary>
    public const string MessageAccepted = "message-accepted";

    /// <summary>DeliverMessages for domains that can be reached, consumed by Delivery.</summary>
    public const string Deliver = "deliver";

    /// <summary>DeliverMessages for domains that are failing, consumed by Delivery, so that dead domains never hold up healthy ones.</summary>
    public const string DeliverRetry = "deliver-retry";

    /// <summary>StoreMessages, consumed by Mailbox.</summary>
    public const string Store = "store";

    /// <summary>AttemptsCompleted, consumed by Queue.</summary>
    public const string AttemptsCompleted = "attempts-completed";

    /// <summary>VerifyRecipient, consumed by Delivery.</summary>
    public const string VerifyRecipient = "verify-recipient";

    /// <summary>MailEventRecorded: an exchange without a queue of ours, for others to bind theirs to.</summary>
    public const string MailEvents = "mail-events";
}
