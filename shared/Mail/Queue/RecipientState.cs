namespace MailPipeline.Mail;

/// <summary>Where a recipient stands. The numbers are stored; they never change meaning.</summary>
public enum RecipientState
{
    /// <summary>Waits for its next attempt, or is being tried.</summary>
    Queued = 0,

    /// <summary>The far end took it, or it is in the maildrop. Final.</summary>
    Delivered = 1,

    /// <summary>Permanently refused; the sender was told, unless it was null or wanted no report. Final.</summary>
    Bounced = 2,

    /// <summary>Tried until its time was over; the sender was told, unless it was null or wanted no report. Final.</summary>
    Expired = 3,

    /// <summary>Taken out by a named operator. Final.</summary>
    Removed = 4,

    /// <summary>Waits for an operator.</summary>
    Held = 5,

    /// <summary>An alias that led to several, who are recipients of their own; here because the sender asked to be told. Final.</summary>
    Expanded = 6,
}
