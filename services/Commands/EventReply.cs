using MailPipeline.Administration;
using static MailPipeline.Commands.MailText;

namespace MailPipeline.Commands;

/// <summary>Receivers of events, in words and as JSON.</summary>
internal static class EventReply
{
    public static Reply Of(EventReceiversFound found) => Reply.Show("eventReceivers", [.. Parts(found)], json => json.WriteAll("receivers", found.Receivers, one =>
    {
        json.WriteString("name", one.Receiver.Name);
        json.WriteStrings("kinds", [.. one.Receiver.Kinds.Select(kind => Json.Name(kind))]);
        json.WriteTime("since", one.Receiver.Since);
        json.WriteNumber("waiting", one.Backlog.Waiting);
        json.WriteBoolean("more", one.Backlog.HasMore);
        json.WriteNumber("oldestSeconds", (long)(one.Backlog.Oldest?.TotalSeconds ?? 0));
        json.WriteTime("awaySince", one.Receiver.AwaySince);
        json.WriteString("reason", one.Receiver.Reason);
        json.WriteNumber("dropped", one.Receiver.Dropped);
    }));

    private static IEnumerable<ReplyPart> Parts(EventReceiversFound found)
    {
        if (found.Receivers.Count == 0)
        {
            yield return new LinePart("Nobody is told what becomes of mail: neither Events:Webhooks nor Events:Bus of Queue names a receiver");
            yield break;
        }

        yield return new TablePart(
            ["receiver", "kinds", ">waiting", "oldest", ">dropped", "takes them"],
            [.. found.Receivers.Select(one => (string[])
            [
                one.Receiver.Name, string.Join(", ", one.Receiver.Kinds.Select(kind => Json.Name(kind))),
                $"{(one.Backlog.HasMore ? "over " : "")}{Number(one.Backlog.Waiting)}", one.Backlog.Oldest is { } oldest ? $"{oldest:d\\.hh\\:mm\\:ss}" : "-",
                Number(one.Receiver.Dropped),
                one.Receiver.AwaySince is { } since ? $"not since {Second(since)}: {OneLine(one.Receiver.Reason)}" : "yes",
            ])]);
    }
}
