using MailPipeline.Mail;

namespace MailPipeline.Queue.Policies;

/// <summary>What puts recipients on the suppression lists of those senders that have one. Section "Queue:Suppression".</summary>
public sealed class SuppressionOptions
{
    /// <summary>Default: a mailbox that is not there, or takes no mail, stays so; all else may be over tomorrow.</summary>
    internal static readonly ReplyClass[] DefaultClasses = [ReplyClass.Mailbox];

    /// <summary>What a reply is about that refuses a recipient for good, so that he is not tried again. Default: Mailbox.</summary>
    public IReadOnlyList<ReplyClass> Classes { get; set; } = [];

    internal void Validate(string setting, List<string> failures)
    {
        foreach (var (i, given) in Classes.Index())
        {
            if (!ReplyOptions.Classes.Contains(given))
                failures.Add($"{setting}:{nameof(Classes)}:{i} is '{given}'; it must be one of {string.Join(", ", ReplyOptions.Classes)}");
        }
    }
}
