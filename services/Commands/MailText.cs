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

    /// <summary>Why one recipient waits, in a line of its own.</summary>
    public static string Of(WaitReason wait, string domain) => wait switch
    {
        NotRouted => "is not routed yet",
        HeldBySender held => $"held by its sender until {Time(held.At)}",
        BeingTried => "is being tried now",
        Due => "is due now",
        NextAttempt next => $"next attempt {Time(next.At)}",
        BacksOff backsOff =>
            $"waits: {domain} cannot be reached and backs off until {Time(backsOff.BackoffUntil)} ({OneLine(backsOff.Cause)}); next attempt {Time(backsOff.At)}",
        Paused paused => $"waits: delivery is paused since {Time(paused.Since)} by {OneLine(paused.Operator)}",
        HeldByOperator { Operator.Length: > 0 } held => $"held by {OneLine(held.Operator)}; 'message release ID' lets it go",
        HeldByOperator => "held; 'message release ID' lets it go",
        HeldBySystem held => $"held: {held.Cause}; 'message release ID' lets it go",
        _ => throw new System.Diagnostics.UnreachableException($"{wait.GetType().Name} has no words"),
    };

    /// <summary>The same in a cell of a table.</summary>
    public static string InCell(WaitReason wait) => wait switch
    {
        NotRouted => "not routed",
        HeldBySender held => $"held until {Second(held.At)}",
        BeingTried => "being tried",
        Due => "due now",
        NextAttempt next => Second(next.At),
        BacksOff backsOff when backsOff.At > backsOff.BackoffUntil => $"backs off until {Second(backsOff.BackoffUntil)}, next {Second(backsOff.At)}",
        BacksOff backsOff => $"backs off until {Second(backsOff.BackoffUntil)}",
        Paused => "paused",
        HeldByOperator or HeldBySystem => "held",
        _ => throw new System.Diagnostics.UnreachableException($"{wait.GetType().Name} has no words"),
    };
}
