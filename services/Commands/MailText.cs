using System.Globalization;
using System.Text;
using MailPipeline.Administration;
using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Commands;

/// <summary>How times, numbers, states and reasons to wait are written for people.</summary>
internal static class MailText
{
    public static string Time(DateTimeOffset time) => Json.Time(time);

    public static string Second(DateTimeOffset time) => time.ToUniversalTime().ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    public static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);

    public static string Domains(long number) => number == 1 ? "1 domain" : $"{Number(number)} domains";

    public static string Recipients(long number) => number == 1 ? "1 recipient" : $"{Number(number)} recipients";

    public static string Word<T>(T value)
        where T : struct, Enum => value.ToString().ToLowerInvariant();

    /// <summary>An address or a domain as it is kept, and where that is in A-labels, as people write it beside.</summary>
    public static string Name(string name) => MailName.ForPeople(name) is var written && written != name ? $"{name} ({written})" : name;

    /// <summary>Replies come from strangers, in several lines perhaps: each of their control characters is a space.</summary>
    public static string OneLine(string text)
    {
        if (!text.Any(char.IsControl))
            return text;
        var line = new StringBuilder(text.Length);
        foreach (var character in text)
            line.Append(char.IsControl(character) ? ' ' : character);
        return line.ToString();
    }

    /// <summary>Under what TLS an attempt was made, and why.</summary>
    public static string Of(AttemptTls tls)
    {
        var certificate = tls.Certificate == AttemptTls.None ? "" : $", certificate {tls.Certificate}";
        var channel = tls.IsEncrypted ? $"{tls.Protocol} {tls.Cipher}" : certificate.Length > 0 ? "no TLS" : "clear text";
        return OneLine($"{channel}{certificate}; policy {tls.Policy} ({tls.Source})");
    }

    /// <summary>Why one recipient waits, in a line of its own: the word of the reason, and what belongs to it.</summary>
    public static string Of(WaitReason wait, string domain) => $"{Word(wait)}: " + wait switch
    {
        NotRouted => "the router has not seen it yet",
        HeldBySender held => $"its sender wants it to leave no earlier than {Time(held.At)}",
        BeingTried => "a worker tries it now",
        Due => "it is handed out within moments",
        NextAttempt { After: { } last } next => $"{Time(next.At)}, after {OneLine(Of(last))}",
        NextAttempt next => Time(next.At),
        BacksOff backsOff =>
            $"{domain} cannot be reached and backs off until {Time(backsOff.BackoffUntil)} ({OneLine(backsOff.Cause)}); next attempt {Time(backsOff.At)}",
        DomainLimit limit => $"it is due, and as many batches for {domain} are under way as are allowed now ({Number(limit.Batches)})",
        SiteLimit limit => $"it is due, and as many connections to {OneLine(limit.Site)} are open as are allowed ({Number(limit.Connections)}); {Domains(limit.Domains)} wait for one",
        RateLimit { Sender: { } sender } limit =>
            $"it is due, and {(sender.Length == 0 ? "<> (reports)" : OneLine(sender))} has sent as many messages lately as its rate allows; {Domains(limit.Domains)} wait for their turn",
        RateLimit { Site.Length: 0 } => "it is due, and its senders have sent as many messages lately as their rates allow",
        RateLimit limit => $"it is due, and as many messages have gone to {OneLine(limit.Site)} lately as are allowed; {Domains(limit.Domains)} wait for their turn",
        SenderTurn => $"it is due, and so is more for {domain} than there is room for: others come first",
        NoWorker { BusRefuses: true } missing => $"it is due, and the bus takes no batches for '{missing.Endpoint}' since {Time(missing.Since)}",
        NoWorker missing => $"it is due, and no worker takes batches from '{missing.Endpoint}' since {Time(missing.Since)}",
        Paused paused => $"delivery is paused since {Time(paused.Since)} by {OneLine(paused.Operator)}",
        HeldByOperator { Rule.Length: > 0 } held => $"by {OneLine(held.Operator)}, {OfRule(held.Rule, held.Since, held.Ends, held.Why)}",
        Suspended suspended => $"{domain}, by {OneLine(suspended.Operator)}, {OfRule(suspended.Rule, suspended.Since, suspended.Ends, suspended.Why)}",
        HeldByOperator { Operator.Length: > 0 } held => $"by {OneLine(held.Operator)}; 'message release ID' lets it go",
        HeldByOperator => "'message release ID' lets it go",
        HeldBySystem held => $"{held.Cause}; 'message release ID' lets it go",
        _ => throw new System.Diagnostics.UnreachableException($"{wait.GetType().Name} has no words"),
    };

    private static string OfRule(string name, DateTimeOffset since, DateTimeOffset? ends, string why) =>
        $"by the rule '{name}' since {Time(since)}{(ends is { } end ? $" until {Time(end)}" : "")} ({OneLine(why)}); 'rule remove {name}' lets it go";

    /// <summary>The word of the reason.</summary>
    public static string Word(WaitReason wait) => WaitWords.Of(wait.Kind);

    /// <summary>The word in a cell of a table, and the time at which it ends by itself.</summary>
    public static string InCell(WaitReason wait) => wait switch
    {
        BacksOff backsOff when backsOff.At > backsOff.BackoffUntil => $"{Word(wait)} until {Second(backsOff.BackoffUntil)}, next {Second(backsOff.At)}",
        BacksOff backsOff => $"{Word(wait)} until {Second(backsOff.BackoffUntil)}",
        HeldByOperator { Rule.Length: > 0 } held => $"{Word(wait)} by rule {held.Rule}{(held.Ends is { } end ? $" until {Second(end)}" : "")}",
        Suspended suspended => $"{Word(wait)} by rule {suspended.Rule}{(suspended.Ends is { } end ? $" until {Second(end)}" : "")}",
        { Until: { } until } => $"{Word(wait)} {Second(until)}",
        _ => Word(wait),
    };

    /// <summary>What an attempt came to, and who said so.</summary>
    public static string Of(LastAttempt last)
    {
        var reply = last.Reply.Length > 0 ? last.Reply : last.Status;
        return last.Host.Length > 0 ? $"{reply} at {last.Host}" : reply;
    }

    /// <summary>How long something lasts, in its two largest units: "3 s", "5 m", "2 h 5 m", "3 d 4 h".</summary>
    public static string Age(TimeSpan age) => age switch
    {
        { Ticks: <= 0 } => "0 s",
        { TotalMinutes: < 1 } => string.Create(CultureInfo.InvariantCulture, $"{age.Seconds} s"),
        { TotalHours: < 1 } => string.Create(CultureInfo.InvariantCulture, $"{age.Minutes} m"),
        { TotalDays: < 1 } => string.Create(CultureInfo.InvariantCulture, $"{age.Hours} h {age.Minutes} m"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{age.Days} d {age.Hours} h"),
    };
}
