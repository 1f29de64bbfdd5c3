using System.Net;
using MailPipeline.Testing;

namespace MailPipeline.Kubernetes.Tests;

/// <summary>
/// The product as a process, made to do and to suffer what leaves labels on its metrics: mail that arrives, is put off and
/// is refused, by SMTP and POP3, with and without TLS.
/// </summary>
internal static class BusyPipeline
{
    private const string Password = "correct horse";

    /// <summary>What /metrics shows after all of it.</summary>
    public static async Task<Exposition> RunAsync(CancellationToken cancellation)
    {
        using var folder = new TempFolder("metrics");
        var arrived = new LedgerFile(folder["arrived"]);
        await using var good = new SinkServer("good.example", SinkScript.AcceptAll, arrived);
        await using var late = new SinkServer("late.example", new SinkScript { AtRecipient = (_, _) => SinkStep.Defer }, arrived);
        await using var strict = new SinkServer("strict.example", new SinkScript { AtRecipient = (_, _) => SinkStep.Reject }, arrived);
        await using var server = new StandaloneProcess(
            folder.CreateFolder("data"),
            $"--Delivery:Routes:good.example=127.0.0.1:{good.EndPoint.Port}",
            $"--Delivery:Routes:late.example=127.0.0.1:{late.EndPoint.Port}",
            $"--Delivery:Routes:strict.example=127.0.0.1:{strict.EndPoint.Port}",
            "--Delivery:IdleTime=00:00:30",
            "--Dns:Servers:0=127.0.0.1:9",
            "--Dns:Timeout=00:00:00.200",
            "--Queue:RetrySteps:0=00:00:01",
            "--Queue:MaxAge=00:00:03",
            "--Ingress:RelayClients:0=127.0.0.0/8",
            "--Ingress:MaxSessionsPerAddress=3",
            "--Ingress:MaxRecipients=100",
            // Nobody is there who would take events.
            "--Events:Webhooks:0:Name=away",
            "--Events:Webhooks:0:Url=https://127.0.0.1:9/",
            "--Events:Webhooks:0:Secret=c2VjcmV0IG9mIHRoaXJ0eS10d28gb2N0ZXRzIGhlcmU=",
            "--Logging:LogLevel:MailPipeline=Warning");
        await server.RunAsync(["domain", "add", "mail.example"], cancellation: cancellation);
        await server.AddAccountAsync("ann@mail.example", Password, cancellation);
        await server.StartAsync(cancellation);

        await SubmitAsync(server, ["ann@mail.example", "a@good.example", "a@late.example", "a@strict.example", "a@nowhere.example"], cancellation);
        await Eventually.TrueAsync(() => good.Kept > 0, TimeSpan.FromSeconds(30), () => "The connection to good.example can be used again.", cancellation);
        await SubmitAsync(server, ["b@good.example"], cancellation);
        await RefuseAsync(server, cancellation);
        await FetchAsync(server, cancellation);
        await PauseAsync(server, good, cancellation);

        var exposition = new Exposition();
        using var http = new HttpClient();
        await Eventually.TrueAsync(
            async () =>
            {
                exposition.Add(await http.GetStringAsync(new Uri(server.Web, "metrics"), cancellation));
                return exposition.Values("mailpipeline_queue_decisions_total", "state")?.IsSupersetOf(["bounced", "expired"]) == true
                    && exposition.Values("mailpipeline_delivery_attempts_total", "outcome")?.IsSupersetOf(["delivered", "deferred"]) == true
                    && exposition.Has("mailpipeline_delivery_connections_reused_total")
                    && exposition.Has("mailpipeline_queue_events_total") && exposition.Has("mailpipeline_queue_events_oldest_seconds")
                    && exposition.Has("mailpipeline_delivery_resolution_duration_seconds_bucket");
            },
            TimeSpan.FromSeconds(60), () => "All outcomes are counted.", cancellation);
        return exposition;
    }

    private static async Task SubmitAsync(StandaloneProcess server, string[] recipients, CancellationToken cancellation)
    {
        await using var client = await SmtpDialogue.OpenAsync(new ServerLogin(server.Smtp, StartTls: true), cancellation);
        foreach (var recipient in recipients)
        {
            await client.ExpectAsync("MAIL FROM:<ann@mail.example>", 250, cancellation);
            await client.ExpectAsync($"RCPT TO:<{recipient}>", 250, cancellation);
            await client.ExpectAsync("DATA", 354, cancellation);
            await client.ExpectAsync("Subject: x\r\n\r\nx\r\n.", 250, cancellation);
        }
        await client.ExpectAsync("QUIT", 221, cancellation);
    }

    /// <summary>Refused for good, refused for now, and one connection too many.</summary>
    private static async Task RefuseAsync(StandaloneProcess server, CancellationToken cancellation)
    {
        await using var first = await SmtpDialogue.OpenAsync(new ServerLogin(server.Smtp), cancellation);
        await first.ExpectAsync("MAIL FROM:<ann@mail.example>", 250, cancellation);
        await first.ExpectAsync("RCPT TO:<nobody@mail.example>", 550, cancellation);
        for (var number = 1; number <= 100; number++)
            await first.ExpectAsync($"RCPT TO:<r{number}@good.example>", 250, cancellation);
        await first.ExpectAsync("RCPT TO:<r101@good.example>", 452, cancellation);
        await using var second = await SmtpDialogue.OpenAsync(new ServerLogin(server.Smtp), cancellation);
        await using var third = await SmtpDialogue.OpenAsync(new ServerLogin(server.Smtp), cancellation);
        var refusal = await Assert.ThrowsAsync<SmtpRefusedException>(() => SmtpDialogue.OpenAsync(new ServerLogin(server.Smtp), cancellation));
        Assert.Equal(421, refusal.Reply.Code);
    }

    /// <summary>Delivery is paused and resumed beside the running server: mail comes in meanwhile and goes out afterwards.</summary>
    private static async Task PauseAsync(StandaloneProcess server, SinkServer good, CancellationToken cancellation)
    {
        await KeptIsAsync(2);
        await server.RunAsync(["queue", "pause"], cancellation: cancellation);
        await PausedIsAsync(1);
        await SubmitAsync(server, ["c@good.example"], cancellation);
        Assert.StartsWith("Delivery is paused since ", await server.RunAsync(["queue"], cancellation: cancellation), StringComparison.Ordinal);
        Assert.Equal(2, good.Kept);
        await server.RunAsync(["queue", "resume"], cancellation: cancellation);
        await KeptIsAsync(3);
        await PausedIsAsync(0);

        Task KeptIsAsync(int messages) => Eventually.TrueAsync(
            () => good.Kept == messages, TimeSpan.FromSeconds(30), () => $"good.example has {messages} messages.", cancellation);

        Task PausedIsAsync(double value) => Eventually.TrueAsync(
            async () => await server.ReadMetricAsync("mailpipeline_queue_paused", cancellation) == value, TimeSpan.FromSeconds(30),
            () => $"mailpipeline_queue_paused is {value}.", cancellation);
    }

    private static async Task FetchAsync(StandaloneProcess server, CancellationToken cancellation)
    {
        var login = new ServerLogin(server.Pop3, StartTls: true, new NetworkCredential("ann@mail.example", Password));
        await Eventually.TrueAsync(
            async () =>
            {
                await using var client = await Pop3Client.OpenAsync(login, cancellation);
                var messages = await client.ListAsync(cancellation);
                if (messages.Count == 0)
                    return false;
                using var message = new ReceivedMessage();
                await client.RetrieveAsync(messages[0].Number, message, cancellation);
                await client.DeleteAsync(messages[0].Number, cancellation);
                await client.CommandAsync("QUIT", cancellation);
                return true;
            },
            TimeSpan.FromSeconds(30), () => "A message is in the maildrop.", cancellation);
        await Assert.ThrowsAsync<Pop3RefusedException>(() => Pop3Client.OpenAsync(
            login with { Credential = new NetworkCredential("ann@mail.example", "wrong") }, cancellation));
    }
}
