using System.Diagnostics;
using System.Text.Json;
using MailPipeline.Administration;
using MailPipeline.Mail;
using static MailPipeline.Commands.MailText;

namespace MailPipeline.Commands;

/// <summary>What waits and why, or what became of pausing, in words and as JSON.</summary>
internal static class QueueReply
{
    public static Reply Of(QueueResult result) => result switch
    {
        DeliveryPausedNow => Reply.Say(result.Status, "deliveryPaused",
            "Delivery is paused: within seconds nothing more is handed out, and what is being tried is finished. Mail is accepted as before", static _ => { }),
        DeliveryPausedAlready => Reply.Say(result.Status, "deliveryPausedAlready", "Delivery is paused already", static _ => { }),
        DeliveryResumed { Ended: var ended } => Reply.Say(result.Status, "deliveryResumed",
            $"Delivery goes on; it was paused since {Second(ended.Since)} by {OneLine(ended.Operator)}", json => json.WriteWait("pause", ended)),
        DeliveryNotPaused => Reply.Say(result.Status, "deliveryNotPaused",
            "Delivery is not paused by 'queue pause'; a server with Queue:DeliveryPaused keeps to its setting", static _ => { }),
        QueueFlushed { Domain: var domain, Messages: var messages } => Reply.Say(result.Status, "queueFlushed",
            $"{Number(messages)} messages that wait for {OneLine(domain)} are due now", json =>
            {
                json.WriteString("domain", domain);
                json.WriteNumber("messages", messages);
            }),
        NothingToFlush { Domain: var domain } => Reply.Say(result.Status, "nothingToFlush", $"Nothing waits for {OneLine(domain)}", json => json.WriteString("domain", domain)),
        FlushWhilePaused { Domain: var domain } => Reply.Say(result.Status, "flushWhilePaused",
            $"Delivery is paused, so that nothing for {OneLine(domain)} would be tried; 'queue resume' lets it go on", json => json.WriteString("domain", domain)),
        _ => throw new UnreachableException($"{result.GetType().Name} has no words"),
    };

    public static Reply Of(QueueOverview queue) => Reply.Show("queue", [.. Parts(queue)], json => Write(json, queue));

    private static IEnumerable<ReplyPart> Parts(QueueOverview queue)
    {
        if (queue.Pause is { } paused)
            yield return new LinePart($"Delivery is paused since {Second(paused.Since)} by {OneLine(paused.Operator)}; 'queue resume' lets it go on");
        yield return new LinePart(
            $"{Number(queue.Waiting)} recipients wait, {Number(queue.Unrouted)} messages are not routed yet, {Number(queue.Batches)} batches are being tried");
        if (queue.HeldBySenders > 0)
            yield return new LinePart($"{Number(queue.HeldBySenders)} messages are held by their senders until a time of their own");
        if (queue.Unreported > 0)
            yield return new LinePart($"{Number(queue.Unreported)} failures are about to be reported to their senders");
        if (queue.Held > 0)
        {
            var messages = string.Join(", ", queue.HeldMessages.Select(message => MessageIds.ToText(message.MessageId)));
            yield return new LinePart($"{Number(queue.Held)} recipients are held, of {messages}{(queue.HasMoreHeldMessages ? ", ..." : "")}; 'message release ID' lets them go");
        }
        if (queue.Domains.Count == 0)
            yield break;
        yield return new LinePart("");
        // Before any attempt nobody knows a site.
        var hasSites = queue.Domains.Any(domain => domain.Site.Length > 0);
        yield return new TablePart(
            ["domain", ">waiting", ">trying", "next attempt", ">failures", .. hasSites ? (string[])["site"] : [], "last reply"],
            [.. queue.Domains.Select(domain => (string[])
            [
                Name(domain.Domain), Number(domain.Waiting), Number(domain.BeingTried), InCell(domain.Reason), Number(domain.Failures),
                .. hasSites ? (string[])[OneLine(domain.Site)] : [], OneLine(domain.LastReply),
            ])]);
        if (queue.HasMoreDomains)
            yield return new LinePart($"... and more; the {Number(queue.Domains.Count)} longest are shown");
    }

    private static void Write(Utf8JsonWriter json, QueueOverview queue)
    {
        json.WriteWait("pause", queue.Pause);
        json.WriteNumber("waiting", queue.Waiting);
        json.WriteNumber("unrouted", queue.Unrouted);
        json.WriteNumber("batches", queue.Batches);
        json.WriteNumber("unreported", queue.Unreported);
        json.WriteNumber("heldBySenders", queue.HeldBySenders);
        json.WriteNumber("held", queue.Held);
        json.WriteAll("heldMessages", queue.HeldMessages, message =>
        {
            json.WriteString("id", MessageIds.ToText(message.MessageId));
            json.WriteNumber("recipients", message.Recipients);
        });
        json.WriteBoolean("moreHeldMessages", queue.HasMoreHeldMessages);
        json.WriteAll("domains", queue.Domains, domain =>
        {
            json.WriteString("domain", domain.Domain);
            json.WriteNumber("waiting", domain.Waiting);
            json.WriteNumber("beingTried", domain.BeingTried);
            json.WriteWait("wait", domain.Reason);
            json.WriteNumber("failures", domain.Failures);
            json.WriteString("site", domain.Site);
            json.WriteString("lastReply", domain.LastReply);
        });
        json.WriteBoolean("moreDomains", queue.HasMoreDomains);
    }
}
