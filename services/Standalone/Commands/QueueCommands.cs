using System.Globalization;
using MailPipeline.Mail;
using static MailPipeline.Standalone.Commands.MessageCommands;

namespace MailPipeline.Standalone.Commands;

/// <summary>What waits for whom, and whether anything is handed out.</summary>
internal static class QueueCommands
{
    private const int MaxDomains = 200;
    private const int MaxHeld = 20;

    public static readonly Command[] All =
    [
        new("queue", "", "domains for which mail waits", ShowAsync),
        new("queue pause", "", "hand nothing out any more, in all servers; mail is accepted as before", PauseAsync),
        new("queue resume", "", "hand out again what is due", ResumeAsync),
    ];

    private static async Task<int> ShowAsync(Invocation call, CancellationToken cancellation)
    {
        await using var store = await OpenStore.OpenAsync(call.Arguments, cancellation);
        var summary = await store.History.SummarizeAsync(cancellation);
        var domains = await store.History.ListDomainsAsync(MaxDomains, cancellation);
        var output = call.Terminal.Out;
        var waiting = await Waiting.ReadAsync(store, [], cancellation);
        if (waiting.Pause is { } paused)
            await output.WriteLineAsync($"Delivery is paused since {Second(paused.Since)} by {OneLine(paused.Operator)}; 'queue resume' lets it go on");
        await output.WriteLineAsync(
            $"{Number(summary.Queued)} recipients wait, {Number(summary.Unrouted)} messages are not routed yet, {Number(summary.Claims)} batches are being tried");
        if (summary.Unreported > 0)
            await output.WriteLineAsync($"{Number(summary.Unreported)} failures are about to be reported to their senders");
        if (summary.Held > 0)
            await WriteHeldAsync(summary.Held, await store.Operator.ListHeldAsync(MaxHeld, cancellation), output);
        if (domains.Count == 0)
            return CommandTable.Done;
        await output.WriteLineAsync();
        await output.WriteLineAsync($"{"domain",-32} {"waiting",8} {"trying",7} {"next attempt",-32} {"failures",8}  last reply");
        foreach (var domain in domains)
        {
            var reply = domain.Reason.Length > 0 ? domain.Reason : await store.History.FindLastReplyAsync(domain.Domain, cancellation);
            await output.WriteLineAsync(
                $"{domain.Domain,-32} {Number(domain.Queued),8} {Number(domain.Claimed),7} {Next(domain, waiting),-32} {Number(domain.Failures),8}  {OneLine(reply)}");
        }
        if (domains.Count == MaxDomains)
            await output.WriteLineAsync($"... and more; the {MaxDomains} longest are shown");
        return CommandTable.Done;
    }

    private static async Task<int> PauseAsync(Invocation call, CancellationToken cancellation)
    {
        await using var store = await OpenStore.OpenAsync(call.Arguments, cancellation);
        if (await store.Operator.PauseDeliveryAsync(OperatorName.Current))
        {
            await call.Terminal.Out.WriteLineAsync(
                "Delivery is paused: within seconds nothing more is handed out, and what is being tried is finished. Mail is accepted as before");
            return CommandTable.Done;
        }
        await call.Terminal.Error.WriteLineAsync("Delivery is paused already");
        return CommandTable.NotDone;
    }

    private static async Task<int> ResumeAsync(Invocation call, CancellationToken cancellation)
    {
        await using var store = await OpenStore.OpenAsync(call.Arguments, cancellation);
        if (await store.Operator.ResumeDeliveryAsync() is { } paused)
        {
            await call.Terminal.Out.WriteLineAsync($"Delivery goes on; it was paused since {Second(paused.Since)} by {OneLine(paused.Operator)}");
            return CommandTable.Done;
        }
        await call.Terminal.Error.WriteLineAsync("Delivery is not paused by 'queue pause'; a server with Queue:DeliveryPaused keeps to its setting");
        return CommandTable.NotDone;
    }

    private static async Task WriteHeldAsync(long recipients, IReadOnlyList<HeldMessage> messages, TextWriter output)
    {
        var shown = string.Join(", ", messages.Select(message => MessageIds.ToText(message.MessageId)));
        await output.WriteLineAsync($"{Number(recipients)} recipients are held, of {shown}{(messages.Count == MaxHeld ? ", ..." : "")}; 'message release ID' lets them go");
    }

    /// <summary>Never a time that has passed.</summary>
    private static string Next(DomainSummary domain, Waiting waiting)
    {
        if (domain.Claimed == domain.Queued)
            return "being tried";
        if (waiting.Pause is not null)
            return "paused";
        if (domain.BackoffUntil > waiting.Now)
        {
            var rest = $"rests until {Second(domain.BackoffUntil)}";
            return domain.OldestNextAttemptAt > domain.BackoffUntil ? $"{rest}, next {Second(domain.OldestNextAttemptAt)}" : rest;
        }
        return domain.OldestNextAttemptAt > waiting.Now ? Second(domain.OldestNextAttemptAt) : "due now";
    }

    private static string Second(DateTimeOffset time) => time.ToUniversalTime().ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
}
