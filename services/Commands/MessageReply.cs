using System.Diagnostics;
using System.Text.Json;
using MailPipeline.Administration;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using static MailPipeline.Commands.MailText;

namespace MailPipeline.Commands;

/// <summary>What is known of a message, or what became of a change to it, in words and as JSON.</summary>
internal static class MessageReply
{
    /// <param name="all">Each recipient of very many that were delivered has its lines; in JSON it always has.</param>
    public static Reply Of(MessageResult result, bool all = false) => result switch
    {
        MessageFound found => Reply.Show("message", [.. Timeline.Lines(found, all).Select(line => new LinePart(line))], json => Write(json, found)),
        MessagesFound found => Reply.Show("messages", [.. Parts(found)], json => Write(json, found)),
        MessageChanged changed => Reply.Say(changed.Status, NameOf(changed.Action), Done(changed.MessageId, changed.Action, changed.Recipients), json =>
            WriteCounts(json, changed.MessageId, changed.Recipients, 0)),
        MessageChangedInPart part => Reply.Say(part.Status, NameOf(part.Action),
            $"{Recipients(part.BeingTried)} of {MessageIds.ToText(part.MessageId)} left alone, as an attempt is under way. Whoever it does not deliver to waits again; then repeat the command",
            json => WriteCounts(json, part.MessageId, part.Recipients, part.BeingTried)) with
        {
            Parts = part.Recipients > 0 ? [new LinePart(Done(part.MessageId, part.Action, part.Recipients))] : [],
        },
        NothingToChange nothing => Reply.Say(nothing.Status, "nothingToChange",
            $"Nothing to do: the recipients of {MessageIds.ToText(nothing.MessageId)} are "
                + string.Join(", ", nothing.Recipients.Select(state => $"{Word(state.Key)} ({Number(state.Value)})")),
            json => WriteStates(json, nothing)),
        MessageNotRouted waiting => Reply.Say(waiting.Status, "messageNotRouted",
            $"Nothing to do: {MessageIds.ToText(waiting.MessageId)} is not routed yet", json => WriteId(json, waiting.MessageId)),
        NoSuchMessage missing => Reply.Say(missing.Status, "noSuchMessage",
            $"There is no message {MessageIds.ToText(missing.MessageId)}; finished ones are forgotten after a while", json => WriteId(json, missing.MessageId)),
        NotAMessageId bad => Reply.Say(bad.Status, "notAMessageId", NotAnId(bad.Typed), static _ => { }),
        _ => throw new UnreachableException($"{result.GetType().Name} has no words"),
    };

    public static string NotAnId(string typed) => $"'{typed}' is not a message id; it is the hexadecimal number in the reply 'queued as ...'";

    private static string NameOf(OperatorAction action) => action switch
    {
        OperatorAction.Held => "messageHeld",
        OperatorAction.Released => "messageReleased",
        OperatorAction.Removed => "messageRemoved",
        _ => throw new UnreachableException($"{action} has no name"),
    };

    private static string Done(long id, OperatorAction action, int recipients) =>
        $"{Recipients(recipients)} of {MessageIds.ToText(id)} {Word(action)}{(action == OperatorAction.Removed ? "; the sender is not told" : "")}";

    private static void WriteId(Utf8JsonWriter json, long id) => json.WriteString("id", MessageIds.ToText(id));

    private static void WriteCounts(Utf8JsonWriter json, long id, int changed, int beingTried)
    {
        WriteId(json, id);
        json.WriteNumber("changed", changed);
        json.WriteNumber("beingTried", beingTried);
    }

    private static void WriteStates(Utf8JsonWriter json, NothingToChange nothing)
    {
        WriteId(json, nothing.MessageId);
        json.WriteStartObject("recipients");
        foreach (var (state, count) in nothing.Recipients)
            json.WriteNumber(Json.Name(state), count);
        json.WriteEndObject();
    }

    private static IEnumerable<ReplyPart> Parts(MessagesFound found)
    {
        if (found is { Messages.Count: 0, Next: null })
        {
            yield return new LinePart("Nothing was found; finished messages are forgotten after a while, and new ones are found once they are routed");
            yield break;
        }
        if (found.Messages.Count > 0)
        {
            yield return new TablePart(
                ["id", "accepted", "from", ">size", "recipients", "Message-ID"],
                [.. found.Messages.Select(message => (string[])
                [
                    MessageIds.ToText(message.MessageId), Second(message.AcceptedAt), $"<{message.Sender}>", Units.Size(message.SizeBytes), States(message),
                    OneLine(message.HeaderId),
                ])]);
        }
        if (found.Next is { } next)
            yield return new LinePart($"... and more; '--before {MessageIds.ToText(next)}' goes on");
    }

    // "2 delivered, 1 queued"
    private static string States(MessageSummary message) => message.Recipients.Count == 0
        ? "not routed yet" : string.Join(", ", message.Recipients.Select(state => $"{Number(state.Value)} {Word(state.Key)}"));

    private static void Write(Utf8JsonWriter json, MessagesFound found)
    {
        json.WriteAll("messages", found.Messages, message =>
        {
            WriteId(json, message.MessageId);
            json.WriteTime("acceptedAt", message.AcceptedAt);
            json.WriteString("sender", message.Sender);
            json.WriteString("headerId", message.HeaderId);
            json.WriteNumber("sizeBytes", message.SizeBytes);
            json.WriteStartObject("recipients");
            foreach (var (state, count) in message.Recipients)
                json.WriteNumber(Json.Name(state), count);
            json.WriteEndObject();
        });
        json.WriteBoolean("more", found.Next is not null);
        if (found.Next is { } next)
            json.WriteString("before", MessageIds.ToText(next));
        else
            json.WriteNull("before");
    }

    private static void Write(Utf8JsonWriter json, MessageFound found)
    {
        var message = found.Message;
        WriteId(json, message.MessageId);
        json.WriteTime("acceptedAt", message.AcceptedAt);
        json.WriteString("sender", message.Sender);
        json.WriteString("headerId", message.HeaderId);
        json.WriteNumber("sizeBytes", message.SizeBytes);
        json.WriteStrings("envelope", message.Envelope);
        json.WriteStrings("tags", message.Tags);
        json.WriteString("holdReason", message.HoldReason);
        json.WriteTime("releaseAt", message.ReleaseAt);
        json.WriteWait("wait", found.Wait);
        json.WriteAll("recipients", found.Recipients, recipient => Write(json, recipient));
        json.WriteAll("reports", message.Reports, report =>
        {
            json.WriteString("kind", Json.Name(report.Kind));
            json.WriteString("id", MessageIds.ToText(report.ReportId));
            json.WriteNumber("recipients", report.Recipients);
            json.WriteTime("at", report.MadeAt);
            json.WriteBoolean("isDropped", report.IsDropped);
        });
        json.WriteAll("changes", message.Audit, change =>
        {
            json.WriteString("action", Json.Name(change.Action));
            json.WriteString("operator", change.Operator);
            json.WriteTime("at", change.At);
            json.WriteNumber("recipients", change.Recipients);
        });
    }

    private static void Write(Utf8JsonWriter json, TracedRecipient traced)
    {
        var recipient = traced.Timeline;
        json.WriteString("address", recipient.Address);
        json.WriteString("original", recipient.Original);
        json.WriteString("domain", recipient.Domain);
        json.WriteString("site", recipient.Site);
        json.WriteString("returnPath", recipient.ReturnPath);
        json.WriteString("route", Json.Name(recipient.Route));
        json.WriteString("state", Json.Name(recipient.State));
        json.WriteTime("updatedAt", recipient.UpdatedAt);
        json.WriteWait("wait", traced.Wait);
        if (recipient.Complaint is { } complaint)
        {
            json.WriteStartObject("complaint");
            json.WriteString("type", complaint.Feedback);
            json.WriteString("reporter", complaint.Reporter);
            json.WriteString("host", complaint.Host);
            json.WriteString("source", complaint.Source);
            json.WriteString("recipient", complaint.Original);
            json.WriteString("reportId", MessageIds.ToText(complaint.ReportId));
            json.WriteTime("at", complaint.At);
            json.WriteBoolean("isTrusted", complaint.IsTrusted);
            json.WriteEndObject();
        }
        else
        {
            json.WriteNull("complaint");
        }

        json.WriteAll("attempts", recipient.Attempts, attempt =>
        {
            json.WriteString("outcome", attempt.IsUntried ? "notTried" : Json.Name(attempt.Outcome));
            json.WriteString("status", attempt.Status);
            json.WriteString("reply", attempt.Reply);
            json.WriteString("class", attempt.Class == ReplyClass.None ? "" : Json.Name(attempt.Class));
            json.WriteString("host", attempt.RemoteHost);
            json.WriteString("worker", attempt.Worker);
            json.WriteTime("startedAt", attempt.StartedAt);
            json.WriteTime("finishedAt", attempt.FinishedAt);
            if (attempt.Tls is not { } tls)
            {
                json.WriteNull("tls");
                return;
            }
            json.WriteStartObject("tls");
            json.WriteString("policy", tls.Policy);
            json.WriteString("source", tls.Source);
            json.WriteString("certificate", tls.Certificate);
            json.WriteString("protocol", tls.Protocol);
            json.WriteString("cipher", tls.Cipher);
            json.WriteEndObject();
        });
    }
}
