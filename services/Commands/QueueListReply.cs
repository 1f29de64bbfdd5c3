using System.Text.Json;
using MailPipeline.Administration;
using MailPipeline.Mail;
using static MailPipeline.Commands.MailText;

namespace MailPipeline.Commands;

/// <summary>Those that wait, one by one, in words and as JSON.</summary>
internal static class QueueListReply
{
    public static Reply Of(QueueListing listing, DateTimeOffset now) => Reply.Show("queueList", [.. Parts(listing, now)], json => Write(json, listing));

    private static IEnumerable<ReplyPart> Parts(QueueListing listing, DateTimeOffset now)
    {
        if (listing.Entries.Count > 0)
        {
            yield return new TablePart(
                ["id", ">age", "sender", "recipient", "reason", ">attempts", "next attempt", "last reply"],
                [.. listing.Entries.Select(entry => (string[])
                [
                    MessageIds.ToText(entry.MessageId), Age(now - entry.AcceptedAt), $"<{OneLine(entry.Sender)}>", OneLine(string.Join(", ", entry.Recipients)),
                    Word(entry.Wait), Number(entry.Attempts), entry.Wait.Until is { } until ? Second(until) : "", entry.Last is { } last ? OneLine(MailText.Of(last)) : "",
                ])]);
        }
        if (listing.Next is { } next)
            yield return new LinePart($"... {Number(listing.Looked)} were looked through; '--after {next}' goes on");
        else if (listing.Entries.Count == 0)
            yield return new LinePart("Nothing of that waits");
    }

    private static void Write(Utf8JsonWriter json, QueueListing listing)
    {
        json.WriteAll("entries", listing.Entries, entry =>
        {
            json.WriteString("id", MessageIds.ToText(entry.MessageId));
            json.WriteTime("acceptedAt", entry.AcceptedAt);
            json.WriteString("sender", entry.Sender);
            json.WriteStrings("recipients", entry.Recipients);
            json.WriteString("domain", entry.Domain);
            json.WriteWait("wait", entry.Wait);
            json.WriteNumber("attempts", entry.Attempts);
            json.WriteLast("last", entry.Last);
        });
        json.WriteNumber("looked", listing.Looked);
        json.WriteString("after", listing.Next?.ToString());
    }
}
