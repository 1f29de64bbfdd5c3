using MailPipeline.Mail;
using MailPipeline.Queue.Policies;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Reports;

/// <summary>
/// Makes the reports about one message of one kind: all that storage has to tell now, in as many as that takes. Each thing is told once,
/// because storage takes it away in the transaction that accepts the report. Beyond what a sender may get in an hour they are dropped,
/// counted, and noted with the message.
/// </summary>
internal sealed partial class ReportMaker(
    UnreportedStore unreported, ReportStore reports, MessageStore messages, DeliveryStatusNotification notification, AcceptedReports hints,
    IOptions<QueueOptions> options, QueuePolicyFile policy, QueueTelemetry telemetry, TimeProvider time, ILogger<ReportMaker> log)
{
    /// <summary>More recipients of one message get another report: nobody reads one of many megabytes.</summary>
    private const int MaxRecipients = 1000;

    public Task ReportFailuresAsync(long messageId, CancellationToken cancellationToken) =>
        ReportAsync(messageId, ReportKind.Failed, frame => unreported.ReportAsync(
            messageId, MaxRecipients, failures => notification.Compose(ReportKind.Failed, frame, [.. failures.Select(ReportedRecipient.Of)]),
            cancellationToken, options.Value.MaxReportsPerSender), cancellationToken);

    /// <param name="acceptedBefore">Since when its recipients wait too long.</param>
    /// <param name="isLate">Whether that is so of a recipient of it.</param>
    /// <returns>False: they changed all the while, and some may be left that are to be told of.</returns>
    public Task<bool> ReportLateAsync(
        long messageId, DateTimeOffset acceptedBefore, Func<TellableRecipient, bool> isLate, CancellationToken cancellationToken) =>
        ReportAsync(messageId, ReportKind.Delayed, frame => reports.ReportLateAsync(
            messageId, acceptedBefore, isLate, MaxRecipients,
            late =>
            {
                var now = time.GetUtcNow();
                return notification.Compose(ReportKind.Delayed, frame, [.. late.Select(
                    recipient => ReportedRecipient.OfLate(recipient, now, EndOf(recipient, frame.Message), frame.Message.Timing.By))]);
            },
            options.Value.MaxReportsPerSender, cancellationToken), cancellationToken);

    public Task ReportSucceededAsync(long messageId, CancellationToken cancellationToken) =>
        ReportAsync(messageId, ReportKind.Succeeded, frame => reports.ReportSucceededAsync(
            messageId, MaxRecipients, ended => notification.Compose(ReportKind.Succeeded, frame, [.. ended.Select(ReportedRecipient.OfSucceeded)]),
            options.Value.MaxReportsPerSender, cancellationToken), cancellationToken);

    private DateTimeOffset EndOf(TellableRecipient recipient, ReportedMessage message)
    {
        var end = policy.Schedules.Of(message.Flow, message.Sender, recipient.Domain).Retry.End(message.Since);
        // RFC 2852: what is returned in time is not tried for longer.
        return message.Timing.By is { IsReturned: true } by && by.At < end ? by.At : end;
    }

    private async Task<bool> ReportAsync(long messageId, ReportKind kind, Func<ReportFrame, Task<ReportEnd>> reportAsync, CancellationToken cancellationToken)
    {
        if (await unreported.FindMessageAsync(messageId, cancellationToken) is not { } message)
            return true;
        var returned = await ReturnedContent.ReadAsync(messages, message, kind, options.Value.MaxReturnedBytes, cancellationToken);
        for (var recipients = MaxRecipients; recipients == MaxRecipients;)
        {
            var frame = new ReportFrame(await messages.NextMessageIdAsync(cancellationToken), message, returned);
            var end = await reportAsync(frame);
            recipients = end.Recipients;
            if (recipients == 0)
                return !end.HasChanged;
            telemetry.Reported(kind, end.IsDropped);
            using var trace = telemetry.TraceOf(message.TraceParent);
            if (end.Report is not { } report)
            {
                LogDropped(log, MessageIds.ToText(messageId), QueueTelemetry.Word(kind), recipients);
                continue;
            }
            hints.Offer(report);
            LogReported(log, MessageIds.ToText(messageId), QueueTelemetry.Word(kind), MessageIds.ToText(report.MessageId), recipients);
        }

        return true;
    }

    [LoggerMessage(2093, LogLevel.Information, "message={MessageId} status=reported kind={Kind} report={ReportId} recipients={Count}")]
    private static partial void LogReported(ILogger log, string messageId, string kind, string reportId, int count);

    [LoggerMessage(2094, LogLevel.Warning, "message={MessageId} status=report-dropped kind={Kind} recipients={Count}: its sender has had as many reports in an hour as Queue:MaxReportsPerSender allows")]
    private static partial void LogDropped(ILogger log, string messageId, string kind, int count);
}
