namespace MailPipeline.Mail;

/// <summary>When mail of some senders is tried again and given up.</summary>
public sealed class SenderOptions : ScheduleOptions
{
    /// <summary>
    /// An address, "*@example.org" or "example.org" (all addresses of the domain), "*.example.org" (all below it), "&lt;&gt;" (reports) or "*". It
    /// fits the account that was logged in, or the sender in the envelope.
    /// </summary>
    public string From { get; set; } = "";

    public void Validate(string setting, List<string> failures)
    {
        if (!SenderPattern.IsOne(From))
        {
            failures.Add(
                $"{setting}:{nameof(From)} is '{From}'; it must be an address, a domain, '*@' or '*.' and a domain, '{SenderPattern.NullSender}' for reports, or '*'");
        }
        if (!HasSchedule)
        {
            failures.Add(
                $"{setting} says nothing; it must have {nameof(RetrySteps)}, {nameof(MaxAge)}, {nameof(DelayReportAfter)} or {nameof(Uncertain)}");
        }
        ValidateSchedule(setting, failures);
    }
}
