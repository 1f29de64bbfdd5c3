using System.Globalization;
using System.Text;
using MailPipeline.Mail;
using MailPipeline.Smtp;
using MimeKit;

namespace MailPipeline.Queue.Reports;

/// <summary>The part of a report that people read: what happened to which recipient, whether anything has to be done, and what comes next.</summary>
internal static class ReportText
{
    private const int MaxSubjectLength = 200;

    public static string Subject(ReportKind kind, IReadOnlyList<ReportedRecipient> recipients) => kind switch
    {
        ReportKind.Failed when recipients.All(recipient => recipient.MayHaveArrived) => "Mail That May Not Have Been Delivered",
        ReportKind.Failed => "Undelivered Mail Returned to Sender",
        ReportKind.Delayed => "Mail Not Delivered Yet, Still Being Tried",
        _ => "Delivery Confirmed",
    };

    /// <param name="hostName">Whose system speaks.</param>
    public static string Write(string hostName, ReportKind kind, ReportFrame frame, IReadOnlyList<ReportedRecipient> recipients)
    {
        var (mayHaveArrived, mayAllHaveArrived) = (recipients.Any(one => one.MayHaveArrived), recipients.All(one => one.MayHaveArrived));
        var text = new StringBuilder()
            .Append("This is the mail system at ").Append(hostName).Append(".\r\n\r\n")
            .Append("Your message of ").Append(Rfc5322Date(frame.Message.AcceptedAt))
            .Append(SubjectOf(frame.Returned.Header) is { Length: > 0 } subject ? $",\r\n\r\n  \"{subject}\",\r\n\r\n" : " ")
            .Append(kind switch
            {
                ReportKind.Failed when mayAllHaveArrived => "may or may not have been delivered to:",
                ReportKind.Failed when mayHaveArrived => "could not be delivered, or not for certain, to:",
                ReportKind.Failed => "could not be delivered to:",
                ReportKind.Delayed => "has not been delivered yet to:",
                _ => "got where you wanted to be told of:",
            })
            .Append("\r\n\r\n");
        foreach (var recipient in recipients)
        {
            // The sender knows the address he wrote; its keeper wants to know which of its targets it is.
            var address = PlainText.Of(MailName.ForPeople(recipient.Address));
            text.Append(recipient.Original.Length > 0 ? $"  <{PlainText.Of(MailName.ForPeople(recipient.Original))}>, which leads to <{address}>" : $"  <{address}>")
                .Append("\r\n");
            foreach (var line in Lines(recipient, frame.Message.Timing.By))
                text.Append("    ").Append(line).Append("\r\n");
            text.Append("\r\n");
        }
        text.Append(kind switch
        {
            ReportKind.Failed when mayHaveArrived =>
                "It is not tried again. Ask those who may have it before you send it again: they would get it twice. Whoever is still to have it needs another message from you.\r\n\r\n",
            ReportKind.Failed => "It is not tried again. Whoever is still to have it needs another message from you, once the reason is gone.\r\n\r\n",
            ReportKind.Delayed => "You need not do anything, and need not send it again: it is tried again by itself. You are told if that comes to nothing.\r\n\r\n",
            _ => "You asked to be told. You need not do anything.\r\n\r\n",
        });
        text.Append(frame.Returned.Whole is null
            ? "The technical details and the header of your message follow.\r\n" : "The technical details and your message follow.\r\n");
        return text.ToString();
    }

    public static string Rfc5322Date(DateTimeOffset at) => at.ToString("ddd, dd MMM yyyy HH:mm:ss '+0000'", CultureInfo.InvariantCulture);

    private static IEnumerable<string> Lines(ReportedRecipient recipient, DeliverBy? by)
    {
        switch (recipient.Action)
        {
            case ReportAction.Delivered:
                yield return "It is in the mailbox.";
                yield break;
            case ReportAction.Expanded:
                yield return "The address stands for several, and the message is on its way to each. You are not told of each that gets it.";
                yield break;
            case ReportAction.Relayed when by is not null:
                yield return $"{(recipient.RemoteHost.Length > 0 ? recipient.RemoteHost : "The next host")} has taken it. Whether it arrives in time is up to that host and those behind it.";
                break;
            case ReportAction.Relayed:
                yield return $"{(recipient.RemoteHost.Length > 0 ? recipient.RemoteHost : "The next host")} has taken it, and makes no such reports: this is the last one.";
                break;
        }

        if (recipient.Reply.Length > 0)
            yield return $"{(recipient.IsExpired ? "given up, its time is over; last: " : "")}{Speaker(recipient)}{recipient.Reply}";
        if (recipient.Action == ReportAction.Delayed && recipient.Status == "4.4.7")
            yield return "It was to be delivered by a time that has passed.";
        if (recipient.MayHaveArrived)
            yield return "A copy may have arrived: contact was lost while it was being handed over, in one attempt at least.";
        if (recipient.RetriedUntil is { } end)
            yield return $"Next try: {(recipient.NextAttemptAt is { } next ? Rfc5322Date(next) : "any moment")}. Given up, if it comes to that: {Rfc5322Date(end)}.";
    }

    /// <summary>Our own sentences name the host where it has to do with them.</summary>
    private static string Speaker(ReportedRecipient recipient) => recipient switch
    {
        { RemoteHost.Length: 0 } => "",
        _ when StatusField.IsSmtpReply(recipient.Reply) => $"{recipient.RemoteHost} said: ",
        _ when recipient.Reply.Contains(recipient.RemoteHost, StringComparison.Ordinal) => "",
        _ => $"while speaking to {recipient.RemoteHost}: ",
    };

    /// <summary>By it people know which message it was. Empty where the header has none, or cannot be read.</summary>
    private static string SubjectOf(byte[] header)
    {
        try
        {
            var subject = HeaderList.Load(new MemoryStream(header))[HeaderId.Subject] ?? "";
            return PlainText.Cut(PlainText.Of(subject.Trim()), MaxSubjectLength);
        }
        catch (FormatException)
        {
            return "";
        }
    }
}
