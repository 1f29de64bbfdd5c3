using System.Text.Json;
using MailPipeline.Administration;
using static MailPipeline.Commands.MailText;

namespace MailPipeline.Commands;

/// <summary>What operators did, in words and as JSON.</summary>
internal static class AuditReply
{
    public static Reply Of(AuditFound found) => Reply.Show("audit", [.. Parts(found)], json => Write(json, found));

    private static IEnumerable<ReplyPart> Parts(AuditFound found)
    {
        if (found.Entries.Count == 0)
        {
            yield return new LinePart("Nothing was done in this time");
            yield break;
        }
        if (found.HasMore)
            yield return new LinePart($"... and more before; the last {Number(found.Entries.Count)} are shown, --limit shows others");
        yield return new TablePart(
            ["time", "operator", "host", "act", "of", ">recipients"],
            [.. found.Entries.Select(entry => (string[])
            [
                Second(entry.At), OneLine(entry.Operator), OneLine(entry.Host), Words(entry.Action), OneLine(entry.Subject),
                entry.Recipients == 0 ? "" : Number(entry.Recipients),
            ])]);
    }

    // "domain added"
    private static string Words<T>(T action)
        where T : struct, Enum => JsonNamingPolicy.SnakeCaseLower.ConvertName(action.ToString()).Replace('_', ' ');

    private static void Write(Utf8JsonWriter json, AuditFound found)
    {
        json.WriteAll("entries", found.Entries, entry =>
        {
            json.WriteTime("at", entry.At);
            json.WriteString("operator", entry.Operator);
            json.WriteString("host", entry.Host);
            json.WriteString("action", Json.Name(entry.Action));
            json.WriteString("subject", entry.Subject);
            json.WriteNumber("recipients", entry.Recipients);
        });
        json.WriteBoolean("more", found.HasMore);
    }
}
