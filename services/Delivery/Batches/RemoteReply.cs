using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Delivery.Batches;

/// <summary>What was said last before the reply, where the same code means different things.</summary>
internal enum TransactionStep
{
    Mail,
    Rcpt,
    Data,
    FinalDot,

    /// <summary>The chunk that ends the content, in the place of the dot.</summary>
    LastChunk,
}

/// <summary>
/// What a reply means for the mail. RFC 5321 §4.2.1 by first digit, with the exceptions below; whatever is not understood is
/// temporary.
/// </summary>
internal static class RemoteReply
{
    private const int LongestLine = 500;

    public static AttemptOutcome Outcome(SmtpReply reply, TransactionStep step, bool fellBackToClear = false) => (reply.Code, step) switch
    {
        // Only a 2xx behind the dot is a delivery; before it, it is no failure, but nothing is delivered either.
        ( >= 200 and <= 299, TransactionStep.FinalDot or TransactionStep.LastChunk) => AttemptOutcome.Delivered,
        // No answer that SMTP knows at this place: nobody can say whether the message was taken.
        ( < 400 or > 599, TransactionStep.FinalDot or TransactionStep.LastChunk) => AttemptOutcome.Uncertain,
        // RFC 5321 §4.5.3.1.10: an old way to say "too many recipients", to be taken as 452.
        (552, TransactionStep.Rcpt) => AttemptOutcome.Deferred,
        // The far end has lost the thread of the dialogue; that says nothing about the mail.
        (500 or 502 or 503, TransactionStep.Mail or TransactionStep.Rcpt or TransactionStep.Data or TransactionStep.LastChunk) => AttemptOutcome.Deferred,
        // RFC 3207 §4: "must issue STARTTLS first", but TLS has just failed; it may be repaired.
        (530, _) when fellBackToClear => AttemptOutcome.Deferred,
        ( >= 500 and <= 599, _) => AttemptOutcome.Failed,
        _ => AttemptOutcome.Deferred,
    };

    /// <summary>The enhanced status of the outcome: the far end's own where it agrees with the outcome, a general one otherwise.</summary>
    public static string Status(SmtpReply reply, AttemptOutcome outcome) => outcome switch
    {
        AttemptOutcome.Delivered => OfClass(reply, 2) ?? "2.0.0",
        AttemptOutcome.Failed => OfClass(reply, 5) ?? "5.0.0",
        AttemptOutcome.Uncertain => "4.4.2",
        _ => TemporaryStatus(reply, "4.0.0"),
    };

    public static string TemporaryStatus(SmtpReply reply, string otherwise) => OfClass(reply, 4) ?? otherwise;

    /// <summary>The reply in one line of bounded length. The text of its last line, which decided, is always in it.</summary>
    public static string Line(SmtpReply reply)
    {
        var line = reply.ToString();
        if (line.Length <= LongestLine)
            return line;
        if (reply.Lines.Count == 1)
            return Cut(line, LongestLine);
        var last = Cut(reply.Lines[^1], LongestLine / 2);
        return $"{Cut(line, LongestLine - last.Length)} {last}";
    }

    /// <summary>A reply whose end has not come, as text; shorter than a whole one, as a sentence stands around it.</summary>
    /// <param name="begun">As the far end sent it.</param>
    public static string Line(string begun) => PlainText.Line(begun, LongestLine / 2);

    private static string Cut(string text, int length) =>
        text.Length <= length ? text : string.Concat(PlainText.Cut(text, length), "...");

    private static string? OfClass(SmtpReply reply, int statusClass) =>
        reply.Status is { } status && status.Class == statusClass ? status.ToString() : null;
}
