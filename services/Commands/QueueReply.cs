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

    public static Reply Of(QueueOverview queue, DateTimeOffset now) => Reply.Show("queue", [.. Parts(queue, now)], json => Write(json, queue));

    public static Reply Of(QueueGroups groups) => Reply.Show("queueGroups", [.. Parts(groups)], json => Write(json, groups));

    private static IEnumerable<ReplyPart> Parts(QueueGroups groups)
    {
        yield return new LinePart($"{Number(groups.Waiting)} wait{AsOf(groups.SampledAt, groups.Now)}");
        if (groups.Groups.Count == 0)
            yield break;
        yield return new LinePart("");
        var hasReasons = groups.By == WaitingBy.Domain;
        var hasReplies = groups.By != WaitingBy.Reason || groups.Groups.Any(group => group.LastReply.Length > 0);
        yield return new TablePart(
            [
                Json.Name(groups.By), ">waiting", ">trying", ">due", ">oldest", .. hasReasons ? (string[])["reason"] : [], "next attempt",
                .. hasReplies ? (string[])["last reply"] : [],
            ],
            [.. groups.Groups.Select(group => (string[])
            [
                KeyOf(group, groups.By), Number(group.Waiting), Number(group.BeingTried), Number(group.Due),
                group.OldestAt is { } oldest ? Age(groups.Now - oldest) : "", .. hasReasons ? (string[])[group.Wait is { } wait ? Word(wait) : ""] : [],
                group.Due > 0 && group.Wait is null or Due ? "due now" : group.NextAt is { } next ? Second(next) : "",
                .. hasReplies ? (string[])[OneLine(group.LastReply)] : [],
            ])]);
        if (groups.HasMore)
            yield return new LinePart($"... and more; the {Number(groups.Groups.Count)} largest are shown, --limit shows others");
    }

    private static string KeyOf(QueueGroup group, WaitingBy by) => (group.Key, by) switch
    {
        ("", WaitingBy.Site) => "(not known yet)",
        ("", WaitingBy.Sender) => "<>",
        (var key, WaitingBy.Domain or WaitingBy.Sender) => Name(key),
        var (key, _) => OneLine(key),
    };

    private static string AsOf(DateTimeOffset? sampledAt, DateTimeOffset now) => sampledAt is { } at ? $", as of {Age(now - at)} ago" : "";

    private static void Write(Utf8JsonWriter json, QueueGroups groups)
    {
        json.WriteString("by", Json.Name(groups.By));
        json.WriteTime("countedAt", groups.SampledAt ?? groups.Now);
        json.WriteNumber("waiting", groups.Waiting);
        json.WriteAll("groups", groups.Groups, group =>
        {
            json.WriteString("key", group.Key);
            json.WriteNumber("waiting", group.Waiting);
            json.WriteNumber("beingTried", group.BeingTried);
            json.WriteNumber("due", group.Due);
            json.WriteTime("oldest", group.OldestAt);
            json.WriteTime("nextAttempt", group.NextAt);
            json.WriteWait("wait", group.Wait);
            json.WriteString("lastReply", group.LastReply);
        });
        json.WriteBoolean("more", groups.HasMore);
    }

    private static IEnumerable<ReplyPart> Parts(QueueOverview queue, DateTimeOffset now)
    {
        if (queue.Pause is { } paused)
            yield return new LinePart($"Delivery is paused since {Second(paused.Since)} by {OneLine(paused.Operator)}; 'queue resume' lets it go on");
        yield return new LinePart(
            $"{Number(queue.Waiting)} recipients wait, {Number(queue.Unrouted)} messages are not routed yet, {Number(queue.Batches)} batches are being tried{AsOf(queue.SampledAt, now)}");
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
            ["domain", ">waiting", ">trying", "reason", ">failures", .. hasSites ? (string[])["site"] : [], "last reply"],
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
            json.WriteTime("oldest", domain.OldestAt);
            json.WriteString("lastReply", domain.LastReply);
        });
        json.WriteBoolean("moreDomains", queue.HasMoreDomains);
        json.WriteTime("sampledAt", queue.SampledAt);
    }
}
