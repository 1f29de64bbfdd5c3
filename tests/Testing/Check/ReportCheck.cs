namespace MailPipeline.Testing;

/// <summary>A notification about one recipient, as one of its readers has it.</summary>
/// <param name="Token">Of the message that it is about.</param>
/// <param name="To">Who was told.</param>
internal sealed record Report(string Token, string Recipient, string Action, string Status, string NotificationId, string To, bool ReturnsAll)
{
    public bool IsFailure => Action == "failed";

    /// <summary>RFC 3464 §2.3.3: the recipient has it, or the last host that could be told of this has handed it on.</summary>
    public bool IsSuccess => Action is "delivered" or "relayed" or "expanded";

    public Violation Violates(ViolationKind kind, string detail) => new(kind, Token, Recipient, detail);
}

/// <summary>
/// I9: who asked to be told is told, once for each time that he handed the message in, and nobody else (RFC 3461 §4.1). Failures are judged as
/// outcomes (I1); here it is asked whether they, delays and successes were wanted, and whether what was wanted came.
/// </summary>
internal static class ReportCheck
{
    /// <summary>Up to here a report of failure has all of the message, where that was asked for: less than the default of Queue:MaxReturnedBytes.</summary>
    private const long ReturnedBytes = 90_000;

    /// <param name="inMaildrops">Of each copy of the message at the recipient, whether a maildrop of ours has it.</param>
    public static IEnumerable<Violation> Check(
        Submission submission, SubmittedRecipient recipient, IReadOnlyCollection<bool> inMaildrops, IReadOnlyCollection<Report> reports)
    {
        var (expected, accepted, unanswered) = recipient;
        var handedIn = accepted + unanswered;
        // Who was refused is judged by I2, and whom nobody may be told of by itself.
        if (handedIn == 0 || submission.Sender.Length == 0)
            yield break;
        foreach (var kind in reports.DistinctBy(report => report.NotificationId).GroupBy(KindOf))
        {
            if (!expected.Asks(kind.Key))
                yield return Found(ViolationKind.ReportUnasked, $"{kind.Key} was reported {kind.Count()} times to one who asked for {Asked(expected)}");
            else if (kind.Key != "FAILURE" && kind.Count() > handedIn)
                yield return Found(ViolationKind.ReportedTwice, $"handed in {handedIn} times, {kind.Count()} different notifications of {kind.Key}");
        }

        var successes = reports.Where(report => report.IsSuccess).ToList();
        if (successes.Count > 0 && inMaildrops.Count == 0)
            yield return Found(ViolationKind.ReportFalse, $"reported as {successes[0].Action}, and nobody has it");
        if (successes.Count == 0 && inMaildrops.Count > 0 && accepted > 0 && expected.Asks("SUCCESS"))
            yield return Found(ViolationKind.ReportMissing, "delivered, and not reported to one who asked for SUCCESS");
        foreach (var report in reports)
        {
            if (report.IsSuccess && inMaildrops.Count > 0 && !inMaildrops.Contains(report.Action == "delivered"))
                yield return Found(ViolationKind.ReportWrong, $"reported as {report.Action} (notification {report.NotificationId})");
            else if (report.IsSuccess && !report.Status.StartsWith("2.", StringComparison.Ordinal))
                yield return Found(ViolationKind.ReportWrong, $"reported as {report.Action} with the status {report.Status}");
            else if (report.ReturnsAll && !(report.IsFailure && submission.Return == "FULL"))
                yield return Found(ViolationKind.ReportWrong, $"all of the message came back, by {report.Action}, where RET was '{submission.Return}'");
            else if (!report.ReturnsAll && report.IsFailure && submission is { Return: "FULL", SizeBytes: < ReturnedBytes })
                yield return Found(ViolationKind.ReportWrong, "not all of the message came back where RET was 'FULL'");
        }

        Violation Found(ViolationKind kind, string detail) => new(kind, submission.Token, expected.Address, detail);
    }

    private static string KindOf(Report report) => report.IsFailure ? "FAILURE" : report.IsSuccess ? "SUCCESS" : "DELAY";

    private static string Asked(ExpectedRecipient expected) => expected.Notify.Length == 0 ? "nothing" : expected.Notify;
}
