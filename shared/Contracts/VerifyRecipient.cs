namespace MailPipeline.Contracts;

/// <summary>Command, Ingress to Delivery: ask the next hop of a domain that we relay for whether it takes this recipient; send it nothing.</summary>
/// <param name="AnswerTo">The endpoint of the process that asks, for <see cref="RecipientVerified"/>.</param>
public sealed record VerifyRecipient(string Address, string AnswerTo);

/// <summary>Event, Delivery to whoever asked: what the next hop said. When it is lost, the recipient counts as one of whom nothing is known.</summary>
/// <param name="Status">Of a refusal, its enhanced status (RFC 3463), e.g. "5.1.1".</param>
public sealed record RecipientVerified(string Address, RecipientAnswer Answer, string Status = "");

/// <summary>What a next hop says of a recipient. The numbers travel; they never change meaning.</summary>
public enum RecipientAnswer
{
    /// <summary>Nothing: it could not be asked, or had no answer about anybody.</summary>
    Away = 0,

    Taken = 1,

    /// <summary>For good.</summary>
    Refused = 2,

    /// <summary>It may take him another time.</summary>
    PutOff = 3,
}
