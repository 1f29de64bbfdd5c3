namespace MailPipeline.Mail;

/// <summary>What an attempt that did not deliver was about. The numbers are stored; they never change meaning.</summary>
public enum ReplyClass
{
    /// <summary>Nothing is said: it delivered, or was noted by a program that said nothing of it.</summary>
    None = 0,

    /// <summary>The mailbox: there is none, or it takes no mail.</summary>
    Mailbox = 1,

    /// <summary>The domain: there is none, it takes no mail, or leads nowhere.</summary>
    Domain = 2,

    /// <summary>The mailbox, or its system, is full.</summary>
    Quota = 3,

    /// <summary>A rule of the far end about who may send what to whom, greylisting and failed authentication of the sender among them.</summary>
    Policy = 4,

    /// <summary>What is thought of our address or domain: block lists.</summary>
    Reputation = 5,

    /// <summary>What the message says: spam, viruses, its size, its form.</summary>
    Content = 6,

    /// <summary>Too much, or too many at once.</summary>
    Rate = 7,

    /// <summary>One side does not understand the other, or cannot do what is asked.</summary>
    Protocol = 8,

    /// <summary>DNS had no answer, or nobody could be spoken to, or was gone before he had answered.</summary>
    Network = 9,

    /// <summary>The TLS that is wanted.</summary>
    Tls = 10,

    /// <summary>Whatever else, troubles of either system among it.</summary>
    Other = 11,
}
