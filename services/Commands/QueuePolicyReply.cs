using System.Globalization;
using System.Text.Json;
using MailPipeline.Administration;
using MailPipeline.Mail;
using static MailPipeline.Commands.MailText;

namespace MailPipeline.Commands;

/// <summary>A policy of the queue, in words and as JSON: what each entry means.</summary>
internal static class QueuePolicyReply
{
    public static Reply Of(QueuePolicyChecked found) => Reply.Show("queuePolicy", [.. Parts(found)], json =>
    {
        json.WriteString("file", found.File);
        json.WriteAll("entries", Entries(found.Policy), entry =>
        {
            json.WriteString("setting", entry.Setting);
            json.WriteString("of", entry.Of);
            json.WriteString("means", entry.Means);
        });
        json.WriteAll("neverCount", found.Idle, idle =>
        {
            json.WriteString("setting", idle.Setting);
            json.WriteString("by", idle.By);
        });
    });

    public static Reply Of(QueuePolicyFaulty faulty)
    {
        var reply = Reply.Say(
            faulty.Status, "queuePolicyFaulty", $"Queue would not take '{OneLine(faulty.File)}': {(faulty.Faults.Count == 1 ? OneLine(faulty.Faults[0]) : $"{Number(faulty.Faults.Count)} faults")}",
            json =>
            {
                json.WriteString("file", faulty.File);
                json.WriteStrings("faults", faulty.Faults);
            });
        return faulty.Faults.Count == 1 ? reply : reply with { Parts = [.. faulty.Faults.Select(fault => new LinePart(fault))] };
    }

    private static IEnumerable<ReplyPart> Parts(QueuePolicyChecked found)
    {
        List<string[]> rows = [.. Entries(found.Policy).Select(entry => (string[])[entry.Setting, entry.Of, entry.Means])];
        yield return rows.Count == 0
            ? new LinePart($"'{OneLine(found.File)}' says nothing: the settings count for all") : new TablePart(["entry", "of", "means"], rows);
        foreach (var idle in found.Idle)
            yield return new LinePart($"{idle.Setting} never counts: {idle.By} before it fits whatever it fits, and says all that it says");
    }

    private static IEnumerable<(string Setting, string Of, string Means)> Entries(QueuePolicyOptions policy)
    {
        foreach (var (i, entry) in policy.Destinations.Index())
            yield return ($"Destinations:{i}", entry.IsOfHosts ? Hosts(entry.For[DestinationOptions.HostPrefix.Length..]) : Domains(entry.For), string.Join("; ", Limits(entry).Concat(Times(entry))));
        foreach (var (i, entry) in policy.Senders.Index())
            yield return ($"Senders:{i}", Senders(entry.From), string.Join("; ", Shares(entry).Concat(Times(entry))));
        foreach (var (i, entry) in policy.Replies.Index())
            yield return ($"Replies:{i}", Replies(entry), string.Join("; ", Meaning(entry)));
    }

    private static string Domains(string pattern) => pattern switch
    {
        "*" => "each domain by itself",
        ['*', '.', .. var name] => $"each domain below {OneLine(name)} by itself",
        _ => $"the domain {OneLine(pattern)}",
    };

    private static string Hosts(string pattern) => pattern switch
    {
        "*" => "each site: all domains together that share hosts",
        ['*', '.', .. var name] => $"a site with a host below {OneLine(name)}: all its domains together",
        _ => $"a site with the host {OneLine(pattern)}: all its domains together",
    };

    private static string Senders(string pattern) => pattern switch
    {
        "*" => "mail of everybody",
        SenderPattern.NullSender => "reports",
        ['*', '.', .. var name] => $"mail from each domain below {OneLine(name)}",
        _ when SenderPattern.Key(pattern) is var key && key.Contains('@', StringComparison.Ordinal) => $"mail from {OneLine(key)}, as account or in the envelope",
        var other => $"mail from {OneLine(SenderPattern.Key(other))}",
    };

    private static string Replies(ReplyOptions entry)
    {
        var host = entry.Host switch
        {
            "" or "*" => "any host",
            ['*', '.', .. var name] => $"hosts below {OneLine(name)}",
            var name => OneLine(name),
        };
        return entry.Text.Length > 0 ? $"a reply of {host} with '{OneLine(entry.Text)}' in it" : $"each reply of {host}";
    }

    private static IEnumerable<string> Limits(DestinationOptions entry)
    {
        if (entry.Connections > 0)
            yield return $"{Number(entry.Connections)} connections at once";
        if (entry.MessagesPerSecond > 0)
            yield return string.Create(CultureInfo.InvariantCulture, $"{entry.MessagesPerSecond} messages a second");
        if (entry.MessagesPerConnection > 0)
            yield return $"{Number(entry.MessagesPerConnection)} messages over one connection";
    }

    private static IEnumerable<string> Shares(SenderOptions entry)
    {
        if (entry.Weight is { } weight)
            yield return string.Create(CultureInfo.InvariantCulture, $"weight {weight} of each");
        if (entry.Rate is > 0 and var rate)
            yield return string.Create(CultureInfo.InvariantCulture, $"{rate:0.#####} messages a second of each");
        else if (entry.Rate is not null)
            yield return "no rate";
    }

    private static IEnumerable<string> Times(ScheduleOptions entry)
    {
        if (entry.RetrySteps.Count > 0)
            yield return $"tried again {Steps(entry.RetrySteps)}";
        if (entry.MaxAge is { } age)
            yield return $"given up after {Span(age)}";
        if (entry.DelayReportAfter is { } delay)
            yield return delay == TimeSpan.Zero ? "nobody is told of delay" : $"its sender is told of delay after {Span(delay)}";
        if (entry.Uncertain.Steps.Count > 0)
            yield return $"in doubt, tried again {Steps(entry.Uncertain.Steps)}";
        if (entry.Uncertain.Most is { } most)
            yield return most == 1 ? "in doubt, never sent twice" : $"in doubt, {Number(most)} copies at most";
        if (entry.Uncertain.Then is { } then)
            yield return then == UncertainEnd.Hold ? "then held for an operator" : "then its sender is told that it may have arrived";
    }

    private static IEnumerable<string> Meaning(ReplyOptions entry)
    {
        yield return $"it is about {Word(entry.Class!.Value)}";
        if (entry.Then is { } then)
            yield return then == ReplyThen.Retry ? "tried again, whatever its code" : "given up, whatever its code";
        if (entry.RetrySteps.Count > 0)
            yield return $"tried again {Steps(entry.RetrySteps)}";
    }

    private static string Steps(IReadOnlyList<TimeSpan> steps) => steps.Count == 1
        ? $"every {Span(steps[0])}" : $"after {string.Join(", ", steps.Select(Span))}, the last again and again";

    private static string Span(TimeSpan time) => time.TotalSeconds < 1 ? string.Create(CultureInfo.InvariantCulture, $"{time.TotalMilliseconds:0.###} ms")
        : string.Join(' ', Parts(time));

    private static IEnumerable<string> Parts(TimeSpan time)
    {
        if (time.Days > 0)
            yield return $"{Number(time.Days)} d";
        if (time.Hours > 0)
            yield return $"{Number(time.Hours)} h";
        if (time.Minutes > 0)
            yield return $"{Number(time.Minutes)} m";
        if (time.Seconds > 0 || time.Milliseconds > 0)
            yield return string.Create(CultureInfo.InvariantCulture, $"{time.Seconds + (time.Milliseconds / 1000.0):0.###} s");
    }
}
