using System.Diagnostics;
using System.Text;
using MailPipeline.Mail;

namespace MailPipeline.Standalone.Demo;

/// <summary>
/// A message's whole way, before one's eyes: submitted with a password at one pipeline, queued, delivered by SMTP to
/// another pipeline, fetched there by POP3. Nothing is left behind.
/// </summary>
internal static class DemoTour
{
    private const int FirstOffset = 12_000;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan s_glance = TimeSpan.FromMilliseconds(50);

    public static readonly Command Command = new("demo", "a tour of under 30 s: a message from submission to POP3, spoken aloud", RunAsync);

    private static async Task<int> RunAsync(Invocation call, CancellationToken cancellation)
    {
        var output = call.Output;
        var clock = Stopwatch.StartNew();
        var folder = Directory.CreateTempSubdirectory("mailpipeline-demo-").FullName;
        using var patience = new CancellationTokenSource(s_patience, TimeProvider.System);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, patience.Token);
        try
        {
            await TourAsync(folder, output, either.Token);
            await output.WriteLineAsync($"\nThat was all, in {clock.Elapsed.TotalSeconds:0.0} s.");
            return ExitCodes.Done;
        }
        catch (DemoException surprise)
        {
            await call.Error.WriteLineAsync($"The tour ends early: {surprise.Message}");
            return ExitCodes.NotDone;
        }
        catch (OperationCanceledException) when (patience.IsCancellationRequested && !cancellation.IsCancellationRequested)
        {
            await call.Error.WriteLineAsync($"The tour ends early: it took longer than {s_patience.TotalSeconds:0} s");
            return ExitCodes.NotDone;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task TourAsync(string folder, TextWriter output, CancellationToken cancellation)
    {
        await using var ann = DemoPipeline.Create("alpha.example", "ann", folder, FirstOffset);
        await using var bob = DemoPipeline.Create("beta.example", "bob", folder, ann.PortOffset);
        await bob.StartAsync(ann, cancellation);
        await ann.StartAsync(bob, cancellation);
        await output.WriteLineAsync($"""
            Two pipelines run in this process, each with a domain, a user, a database and ports of its own:
              {ann.Domain}: {ann.User}, submission on 127.0.0.1:{ann.PortOf(StandaloneSettings.SubmissionPort)}
              {bob.Domain}: {bob.User}, SMTP on 127.0.0.1:{bob.PortOf(StandaloneSettings.MxPort)}, POP3 on 127.0.0.1:{bob.PortOf(StandaloneSettings.Pop3Port)}
            """);

        await output.WriteLineAsync($"\n1. {ann.User} submits a message at her own server, with her password, under TLS.\n");
        var id = await SubmitAsync(ann, bob, output, cancellation);

        await output.WriteLineAsync($"\n2. The 250 meant: it is on disk. Its way from there, which the server at {ann.Domain} remembers:\n");
        await DeliveredAsync(ann.History, id, cancellation);
        await WriteTimelineAsync(ann, id, output, cancellation);

        await output.WriteLineAsync($"\n3. {bob.Domain} took it with a 250 of its own. Its way there:\n");
        var atBob = await ReceivedAsync(ann.History, id, cancellation);
        await DeliveredAsync(bob.History, atBob, cancellation);
        await WriteTimelineAsync(bob, atBob, output, cancellation);

        await output.WriteLineAsync($"\n4. {bob.User} fetches it by POP3, and deletes it.\n");
        await FetchAsync(bob, output, cancellation);
    }

    private static async Task<long> SubmitAsync(DemoPipeline from, DemoPipeline to, TextWriter output, CancellationToken cancellation)
    {
        using var client = await Dialogue.ConnectAsync(from.PortOf(StandaloneSettings.SubmissionPort), output, cancellation);
        await client.ExpectReplyAsync(220, cancellation);
        await client.SendAsync("EHLO laptop.alpha.example", cancellation);
        await client.ExpectReplyAsync(250, cancellation);
        await client.SendAsync("STARTTLS", cancellation);
        await client.ExpectReplyAsync(220, cancellation);
        await client.StartTlsAsync(from.Certificate.Current, cancellation);
        await client.SendAsync("EHLO laptop.alpha.example", cancellation);
        await client.ExpectReplyAsync(250, cancellation);
        var credentials = Convert.ToBase64String(Encoding.UTF8.GetBytes($"\0{from.User}\0{from.Password}")); // RFC 4616
        await client.SendAsync($"AUTH PLAIN {credentials}", cancellation, shown: "AUTH PLAIN ********");
        await client.ExpectReplyAsync(235, cancellation);
        await client.SendAsync($"MAIL FROM:<{from.User}>", cancellation);
        await client.ExpectReplyAsync(250, cancellation);
        await client.SendAsync($"RCPT TO:<{to.User}>", cancellation);
        await client.ExpectReplyAsync(250, cancellation);
        await client.SendAsync("DATA", cancellation);
        await client.ExpectReplyAsync(354, cancellation);
        await client.SendContentAsync(
            $"From: Ann <{from.User}>\nTo: Bob <{to.User}>\nSubject: A walk through the pipeline\nMessage-ID: <walk@{from.Domain}>\n\nDear Bob,\n.a line that begins with a dot arrives as it was.\nAnn",
            cancellation);
        var accepted = await client.ExpectReplyAsync(250, cancellation);
        await client.SendAsync("QUIT", cancellation);
        await client.ExpectReplyAsync(221, cancellation);
        return MessageIdIn(accepted);
    }

    private static async Task FetchAsync(DemoPipeline pipeline, TextWriter output, CancellationToken cancellation)
    {
        using var client = await Dialogue.ConnectAsync(pipeline.PortOf(StandaloneSettings.Pop3Port), output, cancellation);
        await client.ExpectOkAsync(cancellation);
        await client.SendAsync("STLS", cancellation);
        await client.ExpectOkAsync(cancellation);
        await client.StartTlsAsync(pipeline.Certificate.Current, cancellation);
        await client.SendAsync($"USER {pipeline.User}", cancellation);
        await client.ExpectOkAsync(cancellation);
        await client.SendAsync($"PASS {pipeline.Password}", cancellation, shown: "PASS ********");
        await client.ExpectOkAsync(cancellation);
        await client.SendAsync("UIDL", cancellation);
        await client.ExpectOkAsync(cancellation);
        await client.ReadListingAsync(cancellation);
        await client.SendAsync("RETR 1", cancellation);
        await client.ExpectOkAsync(cancellation);
        var message = await client.ReadListingAsync(cancellation);
        if (!message.Contains(".a line that begins with a dot arrives as it was."))
            throw new DemoException("the message is not the one that was sent");
        await client.SendAsync("DELE 1", cancellation);
        await client.ExpectOkAsync(cancellation);
        await client.SendAsync("QUIT", cancellation);
        await client.ExpectOkAsync(cancellation);
    }

    /// <summary>Waits until the message's last recipient has its outcome.</summary>
    private static async Task<MessageTimeline> DeliveredAsync(MessageHistory history, long id, CancellationToken cancellation)
    {
        while (true)
        {
            if (await history.FindAsync(id, cancellation) is { Recipients: [var recipient] } message && recipient.State != RecipientState.Queued)
            {
                return recipient.State == RecipientState.Delivered
                    ? message
                    : throw new DemoException($"the message was not delivered but {recipient.State.ToString().ToLowerInvariant()}");
            }
            await Task.Delay(s_glance, TimeProvider.System, cancellation);
        }
    }

    /// <summary>The id the far end gave it, from its reply to the final dot.</summary>
    private static async Task<long> ReceivedAsync(MessageHistory history, long id, CancellationToken cancellation) =>
        MessageIdIn((await DeliveredAsync(history, id, cancellation)).Recipients[0].Attempts[^1].Reply);

    /// <summary>As the operator's program shows it, beside the server that runs in this process.</summary>
    private static async Task WriteTimelineAsync(DemoPipeline pipeline, long id, TextWriter output, CancellationToken cancellation)
    {
        string[] command = ["message", MessageIds.ToText(id)];
        await output.WriteLineAsync($"  $ mail {string.Join(' ', command)}");
        var said = await MailProgram.RunAsync([.. command, "--data", pipeline.Folder], cancellation);
        foreach (var line in said.TrimEnd().Split('\n'))
            await output.WriteLineAsync("  " + line.TrimEnd());
    }

    private static long MessageIdIn(string reply) =>
        MessageIds.TryParse(reply[(reply.LastIndexOf(' ') + 1)..], out var id)
            ? id
            : throw new DemoException($"the reply '{reply}' does not end with the message's id");
}
