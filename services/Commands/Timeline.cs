using System.Globalization;
using MailPipeline.Administration;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using static MailPipeline.Commands.MailText;

namespace MailPipeline.Commands;

/// <summary>The timeline of a message for people: one line for each thing that happened; very many good ends are one.</summary>
internal static class Timeline
{
    /// <summary>More recipients with a good end than these are one line.</summary>
    private const int MaxDelivered = 5;

    // In the place of a time.
    private static readonly string s_indent = new(' ', 24);

    public static IEnumerable<string> Lines(MessageFound found, bool all)
    {
        var message = found.Message;
        var id = MessageIds.ToText(message.MessageId);
        yield return $"{Time(message.AcceptedAt)} accepted as {id} from <{message.Sender}>, {Units.Size(message.SizeBytes)}";
        if (message.HeaderId.Length > 0)
            yield return $"{s_indent} Message-ID {OneLine(message.HeaderId)}";
        if (message.Tags.Count > 0)
            yield return $"{s_indent} tagged {string.Join(", ", message.Tags)}";
        if (message.HoldReason.Length > 0)
            yield return $"{s_indent} held from the start: {message.HoldReason}";
        if (message.ReleaseAt is { } release && found.Wait is not HeldBySender)
            yield return $"{s_indent} its sender wanted it to leave no earlier than {Time(release)}";
        if (found.Wait is { } wait)
            yield return $"{s_indent} {MailText.Of(wait, "")}: {string.Join(", ", message.Envelope.Select(to => $"<{to}>"))}";
        var delivered = found.Recipients.Where(recipient => recipient.Timeline.State == RecipientState.Delivered).ToList();
        var isFolded = !all && delivered.Count > MaxDelivered;
        if (isFolded)
        {
            yield return $"{Time(delivered.Max(recipient => recipient.Timeline.UpdatedAt))} delivered to {Number(delivered.Count)} of "
                + $"{Number(found.Recipients.Count)} recipients; 'message all {id}' shows each";
        }
        foreach (var line in (isFolded ? found.Recipients.Except(delivered) : found.Recipients).SelectMany(Lines))
            yield return line;
        foreach (var report in message.Reports)
            yield return Line(report);
        foreach (var change in message.Audit)
            yield return $"{Time(change.At)} {Recipients(change.Recipients)} {Word(change.Action)} by {OneLine(change.Operator)}";
    }

    private static string Line(ReportMade report)
    {
        var what = $"of {Recipients(report.Recipients)} {Word(report.Kind)}";
        return report.IsDropped
            ? $"{Time(report.MadeAt)} the sender was not told {what}: he had as many reports in an hour as Queue:MaxReportsPerSender allows"
            : $"{Time(report.MadeAt)} the sender was told {what}, in {MessageIds.ToText(report.ReportId)}";
    }

    private static IEnumerable<string> Lines(TracedRecipient traced)
    {
        var recipient = traced.Timeline;
        var from = recipient.Original.Length > 0 && recipient.Original != recipient.Address ? $" (was <{recipient.Original}>)" : "";
        if (recipient.State == RecipientState.Expanded)
        {
            yield return $"{Time(recipient.UpdatedAt)} <{recipient.Address}> led on to several";
            yield break;
        }
        yield return $"{s_indent} routed to <{recipient.Address}>{from}, {(recipient.Route == RecipientRoute.Local ? "a maildrop here" : "by SMTP")}{(recipient.ReturnPath.Length > 0 ? $", as from <{recipient.ReturnPath}>" : "")}";
        foreach (var untried in recipient.Attempts.Where(attempt => attempt.IsUntried))
            yield return $"{Time(untried.FinishedAt)}   {untried.Status} {OneLine(untried.Reply)}";
        foreach (var (number, attempt) in recipient.Attempts.Where(attempt => !attempt.IsUntried).Index())
        {
            var duration = attempt.FinishedAt - attempt.StartedAt;
            var host = $"{(attempt.RemoteHost.Length > 0 ? $" at {attempt.RemoteHost}" : "")}{(attempt.Worker.Length > 0 ? $" from {OneLine(attempt.Worker)}" : "")}";
            yield return string.Create(CultureInfo.InvariantCulture,
                $"{Time(attempt.FinishedAt)}   attempt {number + 1}{host}: {Word(attempt.Outcome)} {attempt.Status} {OneLine(attempt.Reply)} ({duration.TotalSeconds:0.000} s{(attempt.Class == ReplyClass.None ? "" : $"; {Word(attempt.Class)}")})");
            if (attempt.Tls is { } tls)
                yield return $"{s_indent}     {Of(tls)}";
        }
        if (recipient.Complaint is { } complaint)
            yield return $"{Time(complaint.At)}   complaint ({OneLine(complaint.Feedback)}) reported by {OneLine(complaint.Reporter)}, in {MessageIds.ToText(complaint.ReportId)}";
        if (recipient.Site.Length > 0)
            yield return $"{s_indent}   its mail goes to {OneLine(recipient.Site)}";
        // What waits has no time of its own but when it is held.
        yield return traced.Wait switch
        {
            null => $"{Time(recipient.UpdatedAt)}   {Word(recipient.State)}",
            HeldByOperator { Rule.Length: 0 } or HeldBySystem => $"{Time(recipient.UpdatedAt)}   {Of(traced.Wait, recipient.Domain)}",
            var wait => $"{s_indent}   {Of(wait, recipient.Domain)}",
        };
    }
}
