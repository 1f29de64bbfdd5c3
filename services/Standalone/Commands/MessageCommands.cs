using System.Globalization;
using System.Text;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Standalone.Commands;

/// <summary>What became of one message, and what an operator can do to it.</summary>
internal static class MessageCommands
{
    public static readonly Command[] All =
    [
        new("message", "ID", "the timeline of a message, by the id of its 250 reply", ShowAsync),
        new("message all", "ID", "the same with each recipient of very many that were delivered", ShowAllAsync),
        new("message hold", "ID", "keep its waiting recipients back until they are released", HoldAsync),
        new("message release", "ID", "let its held recipients go: they are due at once", ReleaseAsync),
        new("message remove", "ID", "end its waiting and held recipients; the sender is not told", RemoveAsync),
    ];

    private const int TimeWidth = 24;

    /// <summary>More recipients with a good end than these are one line.</summary>
    private const int MaxDelivered = 5;

    private static Task<int> ShowAsync(Invocation call, CancellationToken cancellation) => ShowAsync(call, all: false, cancellation);

    private static Task<int> ShowAllAsync(Invocation call, CancellationToken cancellation) => ShowAsync(call, all: true, cancellation);

    private static async Task<int> ShowAsync(Invocation call, bool all, CancellationToken cancellation)
    {
        var id = ParseId(call.Values[0]);
        await using var store = await OpenStore.OpenAsync(call.Arguments, cancellation);
        if (await store.History.FindAsync(id, cancellation) is not { } message)
            return await NotThereAsync(id, call.Terminal);
        var waiting = await Waiting.ReadAsync(
            store, message.Recipients.Where(recipient => recipient.State == RecipientState.Queued).Select(recipient => recipient.Domain), cancellation);
        await WriteAsync(message, waiting, call.Terminal.Out, all);
        return CommandTable.Done;
    }

    private static Task<int> HoldAsync(Invocation call, CancellationToken cancellation) =>
        ChangeAsync(call, RecipientState.Held, "held", (store, id, name) => store.HoldAsync(id, name), cancellation);

    private static Task<int> ReleaseAsync(Invocation call, CancellationToken cancellation) =>
        ChangeAsync(call, RecipientState.Queued, "released", (store, id, name) => store.ReleaseAsync(id, name), cancellation);

    private static Task<int> RemoveAsync(Invocation call, CancellationToken cancellation) =>
        ChangeAsync(call, RecipientState.Removed, "removed; the sender is not told", (store, id, name) => store.RemoveAsync(id, name), cancellation);

    private static async Task<int> ChangeAsync(
        Invocation call, RecipientState wanted, string done, Func<OperatorStore, long, string, Task<OperatorChange>> change, CancellationToken cancellation)
    {
        var id = ParseId(call.Values[0]);
        await using var store = await OpenStore.OpenAsync(call.Arguments, cancellation);
        var (changed, beingTried) = await change(store.Operator, id, OperatorName.Current);
        if (changed > 0)
            await call.Terminal.Out.WriteLineAsync($"{Count(changed)} of {MessageIds.ToText(id)} {done}");
        // A release has nothing to do with those that are being tried.
        if (beingTried > 0 && wanted != RecipientState.Queued)
        {
            await call.Terminal.Error.WriteLineAsync(
                $"{Count(beingTried)} of {MessageIds.ToText(id)} left alone, as an attempt is under way. Whoever it does not deliver to waits again; then repeat the command");
            return CommandTable.NotDone;
        }
        if (changed > 0)
            return CommandTable.Done;
        if (await store.History.FindAsync(id, cancellation) is not { } message)
            return await NotThereAsync(id, call.Terminal);
        await call.Terminal.Error.WriteLineAsync($"Nothing to do: {Standing(message)}");
        return CommandTable.NotDone;
    }

    /// <summary>One line for each thing that happened; very many good ends are one.</summary>
    public static async Task WriteAsync(MessageTimeline message, Waiting waiting, TextWriter output, bool all = false)
    {
        await output.WriteLineAsync(
            $"{Time(message.AcceptedAt)} accepted as {MessageIds.ToText(message.MessageId)} from <{message.Sender}>, {Units.Size(message.SizeBytes)}");
        if (message.Envelope.Count > 0)
            await output.WriteLineAsync($"{"",TimeWidth} not routed yet: {string.Join(", ", message.Envelope.Select(to => $"<{to}>"))}");
        var delivered = message.Recipients.Where(recipient => recipient.State == RecipientState.Delivered).ToList();
        var folded = !all && delivered.Count > MaxDelivered;
        if (folded)
        {
            await output.WriteLineAsync(
                $"{Time(delivered.Max(recipient => recipient.UpdatedAt))} delivered to {Number(delivered.Count)} of {Number(message.Recipients.Count)} recipients; 'message all {MessageIds.ToText(message.MessageId)}' shows each");
        }
        foreach (var recipient in folded ? message.Recipients.Except(delivered) : message.Recipients)
        {
            var from = recipient.Original.Length > 0 && recipient.Original != recipient.Address ? $" (was <{recipient.Original}>)" : "";
            await output.WriteLineAsync(
                $"{"",TimeWidth} routed to <{recipient.Address}>{from}, {(recipient.Route == RecipientRoute.Local ? "a maildrop here" : "by SMTP")}");
            var number = 0;
            foreach (var attempt in recipient.Attempts)
            {
                number++;
                var duration = attempt.FinishedAt - attempt.StartedAt;
                var host = attempt.RemoteHost.Length > 0 ? $" at {attempt.RemoteHost}" : "";
                await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
                    $"{Time(attempt.FinishedAt)}   attempt {number}{host}: {Word(attempt.Outcome)} {attempt.Status} {OneLine(attempt.Reply)} ({duration.TotalSeconds:0.000} s)"));
            }
            await output.WriteLineAsync(Outcome(recipient, waiting));
        }
        foreach (var deed in message.Audit)
            await output.WriteLineAsync($"{Time(deed.At)} {Count(deed.Recipients)} {Word(deed.Action)} by {OneLine(deed.Operator)}");
    }

    public static string Time(DateTimeOffset time) => time.ToUniversalTime().ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    public static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);

    /// <summary>Replies come from strangers: nothing of theirs may move the cursor.</summary>
    public static string OneLine(string text)
    {
        if (!text.Any(char.IsControl))
            return text;
        var line = new StringBuilder(text.Length);
        foreach (var character in text)
            line.Append(char.IsControl(character) ? ' ' : character);
        return line.ToString();
    }

    private static long ParseId(string typed) =>
        MessageIds.TryParse(typed, out var id)
            ? id
            : throw new UsageException($"'{typed}' is not a message id; it is the hexadecimal number in the reply 'queued as ...'");

    private static async Task<int> NotThereAsync(long id, Terminal terminal)
    {
        await terminal.Error.WriteLineAsync($"There is no message {MessageIds.ToText(id)}; finished ones are forgotten after a while");
        return CommandTable.NotDone;
    }

    /// <summary>How many of the message's recipients stand where.</summary>
    private static string Standing(MessageTimeline message) =>
        message.Envelope.Count > 0
            ? $"{MessageIds.ToText(message.MessageId)} is not routed yet"
            : $"the recipients of {MessageIds.ToText(message.MessageId)} are " + string.Join(", ", message.Recipients
                .GroupBy(recipient => recipient.State).OrderBy(group => group.Key).Select(group => $"{Word(group.Key)} ({group.Count()})"));

    private static string Outcome(RecipientTimeline recipient, Waiting waiting) => recipient.State switch
    {
        RecipientState.Queued when recipient.Claimed => $"{"",TimeWidth}   is being tried now",
        RecipientState.Queued => $"{"",TimeWidth}   {waiting.Describe(recipient.Domain, recipient.NextAttemptAt)}",
        RecipientState.Held when recipient.HoldReason.Length > 0 =>
            $"{Time(recipient.UpdatedAt)}   held: {recipient.HoldReason}; 'message release ID' lets it go",
        var other => $"{Time(recipient.UpdatedAt)}   {Word(other)}",
    };

    private static string Count(int recipients) => recipients == 1 ? "1 recipient" : $"{Number(recipients)} recipients";

    private static string Word<T>(T value)
        where T : struct, Enum => value.ToString().ToLowerInvariant();
}
