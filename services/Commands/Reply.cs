using System.Text.Json;
using MailPipeline.Administration;

namespace MailPipeline.Commands;

/// <summary>A part of what is shown: one line, or a table.</summary>
internal abstract record ReplyPart;

internal sealed record LinePart(string Text) : ReplyPart;

/// <param name="Columns">Their headings; those of numbers begin with a ">", and stand at the right.</param>
internal sealed record TablePart(IReadOnlyList<string> Columns, IReadOnlyList<IReadOnlyList<string>> Rows) : ReplyPart
{
    public static bool IsNumber(string column) => column.StartsWith('>');

    public static string Heading(string column) => column.TrimStart('>');
}

/// <summary>What a command answers, as it is shown to people and as it is written for programs; nothing is written yet.</summary>
/// <param name="Result">The name of the result in JSON. It never changes its meaning.</param>
/// <param name="Properties">Writes what belongs to the result as JSON.</param>
internal sealed record Reply(ActStatus Status, string Result, Action<Utf8JsonWriter> Properties)
{
    private const string Advice = ". 'help' shows what there is.";

    /// <summary>For standard output.</summary>
    public IReadOnlyList<ReplyPart> Parts { get; init; } = [];

    /// <summary>Why something was not done, for standard error; else empty.</summary>
    public string Complaint { get; init; } = "";

    /// <summary>The answer in one sentence, which is in JSON as well; else empty.</summary>
    public string Sentence { get; init; } = "";

    /// <summary>What was asked for.</summary>
    public static Reply Show(string result, IReadOnlyList<ReplyPart> parts, Action<Utf8JsonWriter> properties) =>
        new(ActStatus.Done, result, properties) { Parts = parts };

    /// <summary>What became of a change, in a sentence.</summary>
    public static Reply Say(ActStatus status, string result, string sentence, Action<Utf8JsonWriter> properties)
    {
        if (status == ActStatus.Refused)
            sentence += Advice;
        return status == ActStatus.Done
            ? new Reply(status, result, properties) { Parts = [new LinePart(sentence)], Sentence = sentence }
            : new Reply(status, result, properties) { Complaint = sentence, Sentence = sentence };
    }

    /// <summary>The command line makes no sense; the sentence says what would.</summary>
    public static Reply Misused(string sentence) => Say(ActStatus.Refused, "misused", sentence, static _ => { });

    /// <summary>A setting or the store is not as it has to be; the sentence names the setting and what is allowed.</summary>
    public static Reply BadStart(string sentence) => Fail(ActStatus.Refused, "badStart", sentence);

    /// <summary>Something outside of the command went wrong.</summary>
    public static Reply Fail(ActStatus status, string result, string sentence) =>
        new(status, result, static _ => { }) { Complaint = sentence, Sentence = sentence };
}

/// <summary>The command line makes no sense; the message says what would.</summary>
internal sealed class UsageException(string message) : Exception(message);
