namespace MailPipeline.Testing;

/// <summary>
/// Judges a run by its ledgers. "Nothing lost, nothing twice", as a pure function: the same records give the same findings.
/// <list type="bullet">
/// <item>I1 answered 250 after the dot: delivered with the same bytes, or bounced once with the right status; never neither, never both.</item>
/// <item>I2 answered 4xx or 5xx: no delivery, no notification.</item>
/// <item>I3 no answer: zero or more deliveries, undamaged; sent again, and then I1 holds.</item>
/// <item>I4 no phantom: nothing that is not in the ledger, nobody who was refused, no truncated or mixed body.</item>
/// <item>I5 duplicates: not beyond the budget, and all of them counted as uncertain.</item>
/// <item>I6 drained, I7 alive: from what the run measured.</item>
/// <item>I8 maildrops: see <see cref="MaildropCheck"/>.</item>
/// <item>I9 reports: told is who asked for it, once, and nobody else; see <see cref="ReportCheck"/>.</item>
/// </list>
/// </summary>
public static class LedgerChecker
{
    public static IReadOnlyList<Violation> Check(LedgerEvidence evidence)
    {
        var found = new List<Violation>();
        var submissions = Submission.Collect(evidence.Records);
        var copies = CopiesOf(evidence.Records).ToList();
        var reports = ReportsOf(evidence.Records).ToList();

        found.AddRange(CheckCopies(submissions, copies));
        found.AddRange(CheckReports(submissions, reports));
        found.AddRange(CheckOutcomes(submissions, copies, reports, out var duplicates));
        found.AddRange(CheckDuplicates(evidence, duplicates));
        found.AddRange(evidence.Remaining
            .Where(r => r.Count != 0)
            .Select(r => new Violation(ViolationKind.NotDrained, "", "", $"{r.What}: {r.Count} left")));
        found.AddRange(evidence.Liveness
            .Where(s => s.Took is not { } took || took > s.Bound)
            .Select(s => new Violation(ViolationKind.Stalled, "", "", $"{s.What}: took {s.Took?.ToString() ?? "for ever"}, bound {s.Bound}")));
        found.AddRange(MaildropCheck.Check(evidence.Records));
        return found;
    }

    /// <summary>Each copy by itself: known, addressed to its recipient, with the right bytes.</summary>
    private static IEnumerable<Violation> CheckCopies(Dictionary<string, Submission> submissions, List<Copy> copies)
    {
        foreach (var copy in copies)
        {
            if (!submissions.TryGetValue(copy.Token, out var submission))
                yield return copy.Violates(ViolationKind.Phantom, "no such token in the ledger");
            else if (submission.Find(copy.Recipient) is null)
                yield return copy.Violates(ViolationKind.Misdelivered, "not a recipient of the message");
            else if (copy.BodyHash != submission.BodyHash)
                yield return copy.Violates(ViolationKind.Damaged, $"hash {copy.BodyHash}, {copy.SizeBytes} octets; sent {submission.BodyHash}, {submission.SizeBytes} octets");
        }
    }

    /// <summary>Each notification by itself: about a known message and recipient, to its sender, of failure with the right status.</summary>
    private static IEnumerable<Violation> CheckReports(Dictionary<string, Submission> submissions, List<Report> reports)
    {
        foreach (var report in reports)
        {
            if (!submissions.TryGetValue(report.Token, out var submission) || submission.Find(report.Recipient) is not { } recipient)
                yield return report.Violates(ViolationKind.PhantomBounce, $"no such message or recipient in the ledger (notification {report.NotificationId})");
            else if (submission.Sender.Length == 0)
                yield return report.Violates(ViolationKind.NullSenderBounced, $"notification went to {report.To}");
            else if (!Same(submission.Sender, report.To))
                yield return report.Violates(ViolationKind.MisdirectedBounce, $"notification went to {report.To}, sender is {submission.Sender}");
            else if (report.IsFailure && recipient.Expected.Outcome == ExpectedOutcome.Bounced
                && !report.Status.StartsWith(recipient.Expected.Status, StringComparison.Ordinal))
            {
                yield return report.Violates(ViolationKind.WrongStatus, $"status {report.Status}, expected {recipient.Expected.Status}");
            }
        }
    }

    /// <summary>Every (message, recipient) that was handed in: what became of it.</summary>
    private static List<Violation> CheckOutcomes(
        Dictionary<string, Submission> submissions, List<Copy> copies, List<Report> reports, out List<Duplicate> duplicates)
    {
        var found = new List<Violation>();
        duplicates = [];
        var copiesOf = copies.ToLookup(c => (c.Token, c.Recipient.ToUpperInvariant()));
        var reportsOf = reports.ToLookup(b => (b.Token, b.Recipient.ToUpperInvariant()));
        foreach (var submission in submissions.Values)
        {
            foreach (var recipient in submission.Recipients)
            {
                var key = (submission.Token, recipient.Expected.Address.ToUpperInvariant());
                var delivered = copiesOf[key].Count();
                var notifications = reportsOf[key].Where(report => report.IsFailure).DistinctBy(report => report.NotificationId).Count();
                if (Judge(submission, recipient, delivered, notifications) is var (kind, detail))
                    found.Add(new(kind, submission.Token, recipient.Expected.Address, detail));
                found.AddRange(ReportCheck.Check(submission, recipient, [.. copiesOf[key].Select(copy => copy.IsInMaildrop)], [.. reportsOf[key]]));

                // A client that sends again after a lost reply makes the copies that it asked for.
                var handedIn = Math.Max(1, recipient.Accepted + recipient.Unanswered);
                duplicates.AddRange(Enumerable.Repeat(
                    new Duplicate(submission.Token, recipient.Expected.Address, recipient.Expected.Address), Math.Max(0, delivered - handedIn)));
            }
        }
        // One that names several recipients is one message.
        foreach (var notification in reports.Where(b => submissions.ContainsKey(b.Token)).GroupBy(b => b.NotificationId))
        {
            var (first, copiesOfIt) = (notification.First(), notification.GroupBy(b => b.Recipient).Max(named => named.Count()));
            duplicates.AddRange(Enumerable.Repeat(
                new Duplicate(first.Token, first.Recipient, submissions[first.Token].Sender), copiesOfIt - 1));
        }
        return found;
    }

    private static (ViolationKind Kind, string Detail)? Judge(Submission submission, SubmittedRecipient recipient, int delivered, int bounced)
    {
        var (expected, accepted, unanswered) = recipient;
        var handedIn = accepted + unanswered;
        if (handedIn == 0)
        {
            if (delivered > 0)
                return (ViolationKind.RefusedDelivered, $"refused each time, delivered {delivered} times");
            return bounced > 0 ? (ViolationKind.RefusedBounced, $"refused each time, bounced {bounced} times") : null;
        }
        if (accepted == 0)
            return (ViolationKind.Unresolved, $"no answer {unanswered} times and never accepted");
        if (delivered > 0 && bounced > 0 && (handedIn == 1 || expected.Outcome == ExpectedOutcome.Either))
            return (ViolationKind.DeliveredAndBounced, $"handed in {handedIn} times, delivered {delivered} times, bounced {bounced} times");
        if (delivered > 0 && expected.Outcome == ExpectedOutcome.Bounced)
            return (ViolationKind.UnexpectedDelivery, $"delivered {delivered} times");
        if (bounced > 0 && expected.Outcome == ExpectedOutcome.Delivered)
            return (ViolationKind.UnexpectedBounce, $"bounced {bounced} times");
        if (bounced > handedIn)
            return (ViolationKind.BouncedTwice, $"handed in {handedIn} times, {bounced} different notifications");
        // RFC 5321 §6.1: nobody is told about a message with the null sender, nor is who does not want to be; its failure leaves no trace here.
        var mayVanish = (submission.Sender.Length == 0 || !expected.Asks("FAILURE")) && expected.Outcome != ExpectedOutcome.Delivered;
        return delivered + bounced == 0 && !mayVanish
            ? (ViolationKind.Lost, $"accepted {accepted} times, neither delivered nor bounced")
            : null;
    }

    private static IEnumerable<Violation> CheckDuplicates(LedgerEvidence evidence, List<Duplicate> duplicates)
    {
        var names = string.Join(", ", duplicates.Take(10).Select(duplicate => $"{duplicate.Token}/{duplicate.Recipient}"));
        if (duplicates.Count > evidence.DuplicateBudget)
            yield return new(ViolationKind.DuplicatesOverBudget, "", "", $"{duplicates.Count} with a budget of {evidence.DuplicateBudget}: {names}");
        if (duplicates.Count > evidence.UncertainCounted)
            yield return new(ViolationKind.DuplicatesUncounted, "", "", $"{duplicates.Count}, and {evidence.UncertainCounted} counted as uncertain: {names}");
        if (evidence.UncertainRecipients is null)
            yield break;
        var uncertain = evidence.UncertainRecipients.ToLookup(address => address, StringComparer.OrdinalIgnoreCase);
        foreach (var copies in duplicates.GroupBy(duplicate => duplicate.To, StringComparer.OrdinalIgnoreCase))
        {
            if (copies.Count() > uncertain[copies.Key].Count())
            {
                var first = copies.First();
                yield return new(
                    ViolationKind.DuplicatesUnexplained, first.Token, first.Recipient,
                    $"{copies.Count()} more copies to {copies.Key}, and {uncertain[copies.Key].Count()} attempts in doubt there");
            }
        }
    }

    /// <summary>Number of duplicates in a run, for its figures.</summary>
    public static int CountDuplicates(IReadOnlyList<LedgerRecord> records)
    {
        CheckOutcomes(Submission.Collect(records), CopiesOf(records).ToList(), ReportsOf(records).ToList(), out var duplicates);
        return duplicates.Count;
    }

    // A copy is what a far end answered for, or one unique id of a maildrop. What a far end did not answer for is none.
    private static IEnumerable<Copy> CopiesOf(IReadOnlyList<LedgerRecord> records)
    {
        foreach (var arrival in records.OfType<Arrival>().Where(a => a.Answered && a.Dsn is null))
        {
            foreach (var recipient in arrival.Recipients)
                yield return new(arrival.Token, recipient, arrival.BodyHash, arrival.SizeBytes, arrival.Sink, IsInMaildrop: false);
        }
        foreach (var read in MaildropMessages(records).Where(r => r.Dsn is null))
            yield return new(read.Token, read.Mailbox, read.BodyHash, read.SizeBytes, "maildrop, unique id " + read.Uid, IsInMaildrop: true);
    }

    private static IEnumerable<Report> ReportsOf(IReadOnlyList<LedgerRecord> records)
    {
        var atSinks = records.OfType<Arrival>().Where(a => a.Answered).SelectMany(a => a.Recipients.Select(to => (a.Dsn, To: to)));
        var inMaildrops = MaildropMessages(records).Select(r => (r.Dsn, To: r.Mailbox));
        return
            from notification in atSinks.Concat(inMaildrops)
            where notification.Dsn is not null
            from recipient in notification.Dsn.Recipients
            select new Report(
                notification.Dsn.Token, recipient.Address, recipient.Action, recipient.Status, notification.Dsn.MessageId, notification.To, notification.Dsn.ReturnsAll);
    }

    private static IEnumerable<MaildropRead> MaildropMessages(IReadOnlyList<LedgerRecord> records) =>
        records.OfType<MaildropRead>().DistinctBy(r => (r.Mailbox, r.Uid, r.BodyHash));

    internal static bool Same(string one, string other) => string.Equals(one, other, StringComparison.OrdinalIgnoreCase);

    /// <param name="To">Who got a copy more: the recipient, or the sender who is told of the failure once more.</param>
    private sealed record Duplicate(string Token, string Recipient, string To);

    private sealed record Copy(string Token, string Recipient, string BodyHash, long SizeBytes, string Where, bool IsInMaildrop)
    {
        public Violation Violates(ViolationKind kind, string detail) => new(kind, Token, Recipient, $"{detail} (at {Where})");
    }
}
