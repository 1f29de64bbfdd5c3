using MailPipeline.ServiceDefaults;

namespace MailPipeline.Mail;

/// <summary>Recipients and outcomes as they stand in log lines.</summary>
public static class MailLogText
{
    /// <summary>
    /// The recipients under their key, in as many texts as there are lines. Behind one to whom an alias led on stands what the sender wrote.
    /// </summary>
    public static IEnumerable<string> Recipients(IReadOnlyList<Recipient> recipients) =>
        LogText.Lines(recipients, static recipient => LogText.Recipient(recipient.Address) + LogText.Original(recipient.Original));

    /// <summary>An outcome as it stands behind <c>status=</c>.</summary>
    public static string Word(AttemptOutcome outcome) => outcome switch
    {
        AttemptOutcome.Delivered => "delivered",
        AttemptOutcome.Deferred => "deferred",
        AttemptOutcome.Failed => "failed",
        AttemptOutcome.Uncertain => "uncertain",
        _ => "untried",
    };
}
