using System.Globalization;
using System.Text;
using MailPipeline.Contracts;
using MailPipeline.Storage;

namespace MailPipeline.Standalone.Commands;

/// <summary>What became of a message, and what waits for whom.</summary>
internal static class QueueCommands
{
    private const int MaxDomains = 200;

    public static readonly Command[] All =
    [
        new("message", "ID", "the timeline of a message, by the id of its 250 reply", MessageAsync),
        new("queue", "", "domains for which mail waits", QueueAsync),
    ];

    private static async Task<int> MessageAsync(Invocation call, CancellationToken cancellation)
    {
        if (!MessageIds.TryParse(call.Values[0], out var id))
            throw new UsageException($"'{call.Values[0]}' is not a message id; it is the hexadecimal number in the reply 'queued as ...'");
        await using var store = await OpenStore.OpenAsync(call.Arguments, cancellation);
        if (await store.History.FindAsync(id, cancellation) is not { } message)
        {
            await call.Terminal.Error.WriteLineAsync($"There is no message {MessageIds.ToText(id)}; finished ones are forgotten after a while");
            return CommandTable.NotDone;
        }
        await WriteAsync(message, call.Terminal.Out);
        return CommandTable.Done;
    }

    /// <summary>One line for each thing that happened.</summary>
    public static async Task WriteAsync(MessageTimeline message, TextWriter output)
    {
        await output.WriteLineAsync(
            $"{Time(message.AcceptedAt)} accepted as {MessageIds.ToText(message.MessageId)} from <{message.Sender}>, {Number(message.SizeBytes)} bytes");
        if (message.Envelope.Count > 0)
            await output.WriteLineAsync($"{"",TimeWidth} not routed yet: {string.Join(", ", message.Envelope.Select(to => $"<{to}>"))}");
        foreach (var recipient in message.Recipients)
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
            await output.WriteLineAsync(Outcome(recipient));
        }
    }

    private static async Task<int> QueueAsync(Invocation call, CancellationToken cancellation)
    {
        await using var store = await OpenStore.OpenAsync(call.Arguments, cancellation);
        var summary = await store.History.SummarizeAsync(cancellation);
        var domains = await store.History.ListDomainsAsync(MaxDomains, cancellation);
        var output = call.Terminal.Out;
        await output.WriteLineAsync(
            $"{Number(summary.Queued)} recipients wait, {Number(summary.Unrouted)} messages are not routed yet, {Number(summary.Claims)} batches are being tried");
        if (domains.Count == 0)
            return CommandTable.Done;
        await output.WriteLineAsync();
        await output.WriteLineAsync($"{"domain",-32} {"waiting",8} {"trying",7} {"next attempt",-20} {"failures",8}  last reply");
        foreach (var domain in domains)
        {
            var next = domain.BackoffUntil > domain.OldestNextAttemptAt ? domain.BackoffUntil : domain.OldestNextAttemptAt;
            await output.WriteLineAsync(
                $"{domain.Domain,-32} {Number(domain.Queued),8} {Number(domain.Claimed),7} {Minute(next),-20} {Number(domain.Failures),8}  {OneLine(domain.Reason)}");
        }
        if (domains.Count == MaxDomains)
            await output.WriteLineAsync($"... and more; the {MaxDomains} longest are shown");
        return CommandTable.Done;
    }

    private const int TimeWidth = 24;

    private static string Outcome(RecipientTimeline recipient) => recipient.State switch
    {
        RecipientState.Queued when recipient.Claimed => $"{"",TimeWidth}   is being tried now",
        RecipientState.Queued => $"{"",TimeWidth}   next attempt {Time(recipient.NextAttemptAt)}",
        var final => $"{Time(recipient.UpdatedAt)}   {final.ToString().ToLowerInvariant()}",
    };

    private static string Word(AttemptOutcome outcome) => outcome.ToString().ToLowerInvariant();

    private static string Time(DateTimeOffset time) => time.ToUniversalTime().ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    private static string Minute(DateTimeOffset time) => time.ToUniversalTime().ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    private static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);

    /// <summary>Replies come from strangers: nothing of theirs may move the cursor.</summary>
    private static string OneLine(string text)
    {
        if (!text.Any(char.IsControl))
            return text;
        var line = new StringBuilder(text.Length);
        foreach (var character in text)
            line.Append(char.IsControl(character) ? ' ' : character);
        return line.ToString();
    }
}
