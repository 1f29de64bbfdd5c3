using System.Diagnostics;
using System.Text.Json;
using MailPipeline.Administration;
using MailPipeline.Mail;
using static MailPipeline.Commands.MailText;

namespace MailPipeline.Commands;

/// <summary>Suppression lists, in words and as JSON.</summary>
internal static class SuppressionReply
{
    public static Reply Of(SuppressionResult result) => result switch
    {
        SuppressionBegun { Sender: var sender } => Reply.Say(result.Status, "suppressionBegun",
            $"Who refuses mail of {Name(sender.Sender)} for good, or complains of it, is not sent any for {Keep(sender.KeepFor)}; within seconds all servers know it",
            json => Write(json, sender)),
        SuppressionEnded { Sender: var sender } => Reply.Say(result.Status, "suppressionEnded",
            $"The suppression list of {Name(sender)} has no effect any more; should it begin again, those are on it whose time is not over",
            json => json.WriteString("sender", sender)),
        RecipientSuppressed { Suppression: var one } => Reply.Say(result.Status, "recipientSuppressed",
            $"{Name(one.Address)} is sent no mail of {Name(one.Sender)}{(one.Until is { } until ? $" until {Second(until)}" : "")}", json => Write(json, one)),
        RecipientUnsuppressed { Removed: var one } => Reply.Say(result.Status, "recipientUnsuppressed",
            $"{Name(one.Address)} is sent mail of {Name(one.Sender)} again; on the list since {Second(one.Since)} ({Cause(one)})", json => Write(json, one)),
        SuppressionsImported imported => Of(imported),
        NoSuppressionList { Sender: var sender } => Reply.Say(result.Status, "noSuppressionList",
            $"{Name(sender)} has no suppression list; 'suppression on {sender}' begins one, 'suppression list' shows who has one", json => json.WriteString("sender", sender)),
        TooManySuppressionLists { Most: var most } => Reply.Say(result.Status, "tooManySuppressionLists",
            $"{Number(most)} senders have a suppression list, and no more can have one", static _ => { }),
        NotSuppressed missing => Reply.Say(result.Status, "notSuppressed",
            $"{Name(missing.Address)} is not on the suppression list of {Name(missing.Sender)}", json =>
            {
                json.WriteString("sender", missing.Sender);
                json.WriteString("address", missing.Address);
            }),
        NoSuchSender { Account: var account } => Reply.Say(result.Status, "noSuchSender",
            $"There is no account {Name(account)}; whose mail comes without a login has the list of his domain", json => json.WriteString("sender", account)),
        NotASender { Typed: var typed } => Reply.Say(result.Status, "notASender", $"'{OneLine(typed)}' is neither an account nor a domain", static _ => { }),
        NotARecipient { Typed: var typed } => Reply.Say(result.Status, "notARecipient", $"'{OneLine(typed)}' is no mail address", static _ => { }),
        _ => throw new UnreachableException($"{result.GetType().Name} has no words"),
    };

    public static Reply Of(IReadOnlyList<SuppressingSender> senders) => Reply.Show(
        "suppressionLists",
        senders.Count == 0
            ? [new LinePart("Nobody has a suppression list; 'suppression on SENDER' begins one")]
            :
            [
                new TablePart(
                    ["sender", "since", "keeps for", "set by"],
                    [.. senders.Select(one => (string[])[Name(one.Sender), Second(one.Since), Keep(one.KeepFor), OneLine(one.SetBy)])]),
            ],
        json => json.WriteAll("senders", senders, one => Write(json, one)));

    public static Reply Of(SuppressionsFound found) => Reply.Show("suppressions", [.. Parts(found)], json =>
    {
        json.WriteAll("recipients", found.Suppressions, one => Write(json, one));
        json.WriteBoolean("more", found.HasMore);
    });

    private static Reply Of(SuppressionsImported imported)
    {
        var done = $"{Recipients(imported.Added)} put on the suppression list of {Name(imported.Sender)}";
        if (imported.Over > 0)
            done += $"; {Number(imported.Over)} passed over, whose time is over";
        var reply = Reply.Say(imported.Status, "suppressionsImported", imported.Bad == 0 ? done : $"{done}; of {Lines(imported.Bad)} nobody", json =>
        {
            json.WriteString("sender", imported.Sender);
            json.WriteNumber("added", imported.Added);
            json.WriteNumber("over", imported.Over);
            json.WriteNumber("bad", imported.Bad);
            json.WriteAll("badLines", imported.BadLines, line =>
            {
                json.WriteNumber("line", line.Number);
                json.WriteString("fault", Json.Name(line.Fault));
                json.WriteString("typed", line.Typed);
            });
        });
        if (imported.Bad == 0)
            return reply;
        List<LinePart> lines = [.. imported.BadLines.Select(line => new LinePart($"line {Number(line.Number)}: {Why(line)}"))];
        if (imported.Bad > lines.Count)
            lines.Add(new LinePart($"... and {Lines(imported.Bad - lines.Count)} more"));
        return reply with { Parts = lines };
    }

    private static string Why(BadLine line) => line.Fault switch
    {
        BadLineFault.TooLong => $"it is longer than {SuppressionFile.MostCharacters} characters",
        BadLineFault.NotUtf8 => "it is not UTF-8",
        BadLineFault.NotJson => "it is no object of JSON with texts and numbers",
        BadLineFault.NotCsv => "a quotation mark has no end, or something stands behind it",
        BadLineFault.NotAnAddress => $"'{line.Typed}' is no mail address",
        BadLineFault.NotACause => $"cause is '{line.Typed}'; it must be reply, complaint or operator",
        BadLineFault.NotATimeThatHasPassed => $"since is '{line.Typed}'; it must be a time that has passed, such as 2030-01-31 or 2030-01-31T12:00:00Z",
        BadLineFault.NotATime => $"until is '{line.Typed}'; it must be a time such as 2030-01-31 or 2030-01-31T12:00:00Z, or never",
        _ => throw new UnreachableException($"{line.Fault} has no words"),
    };

    private static string Lines(long number) => number == 1 ? "1 line" : $"{Number(number)} lines";

    private static IEnumerable<ReplyPart> Parts(SuppressionsFound found)
    {
        if (found.Suppressions.Count == 0)
        {
            yield return new LinePart("Nobody is on it");
            yield break;
        }
        yield return new TablePart(
            ["address", "sender", "since", "until", "cause", "reason"],
            [.. found.Suppressions.Select(one => (string[])
            [
                Name(one.Address), Name(one.Sender), Second(one.Since), one.Until is { } until ? Second(until) : "", Word(one.Cause), OneLine(one.Reason),
            ])]);
        if (found.HasMore)
            yield return new LinePart($"... and more; '--after {found.Suppressions[^1].Address}' goes on");
    }

    private static string Cause(Suppression one) => one.Reason.Length > 0 ? $"{Word(one.Cause)}: {OneLine(one.Reason)}" : Word(one.Cause);

    private static string Keep(TimeSpan? time) => time is { } known ? Age(known) : "good";

    private static void Write(Utf8JsonWriter json, SuppressingSender one)
    {
        json.WriteString("sender", one.Sender);
        json.WriteTime("since", one.Since);
        if (one.KeepFor is { } keep)
            json.WriteNumber("keepForSeconds", (long)keep.TotalSeconds);
        else
            json.WriteNull("keepForSeconds");
        json.WriteString("setBy", one.SetBy);
    }

    private static void Write(Utf8JsonWriter json, Suppression one)
    {
        json.WriteString("sender", one.Sender);
        json.WriteString("address", one.Address);
        json.WriteString("cause", Json.Name(one.Cause));
        json.WriteString("reason", one.Reason);
        json.WriteTime("since", one.Since);
        json.WriteTime("until", one.Until);
    }
}
