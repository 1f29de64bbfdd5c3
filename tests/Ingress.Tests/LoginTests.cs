using System.Net;
using System.Net.Sockets;
using MailPipeline.Mail;
using MailPipeline.Testing;
using Microsoft.Extensions.DependencyInjection;

namespace MailPipeline.Ingress.Tests;

/// <summary>What a client is told while many passwords wait to be looked at, and whom no work is done for.</summary>
public sealed class LoginTests
{
    private static readonly string s_ann = Convert.ToBase64String("\0ann@example.com\0secret"u8);

    [Fact]
    public async Task Where_too_many_wait_it_is_454_and_the_session_goes_on()
    {
        await using var host = await StartAsync(("Logins:MaxWaiting", "1"));
        await using var client = await Client.GreetedAsync(host.Submission);
        using var end = new CancellationTokenSource();
        var crowd = new Crowd();
        var guessing = crowd.AskAsync(
            (Environment.ProcessorCount / 2) + 6, async (guesser, times) => (await VerifyAsync(host, guesser, $"guess{guesser}-{times}")).IsBusy, end.Token);
        string? reply;
        var asked = 0;
        do
        {
            // A name of its own each time: one that fails again and again is put off for itself.
            asked++;
            await client.SendAsync($"AUTH PLAIN {Convert.ToBase64String(System.Text.Encoding.ASCII.GetBytes($"\0user{asked}@example.com\0wrong"))}\r\n");
            reply = await client.ReplyAsync();
            crowd.NoteAnswer();
            Assert.True(reply is not null && (reply.StartsWith("535 5.7.8", StringComparison.Ordinal) || reply.StartsWith("454 4.7.0", StringComparison.Ordinal)), reply);
        }
        while (!reply!.StartsWith("454", StringComparison.Ordinal) && asked < 200);
        Assert.StartsWith("454 4.7.0", reply, StringComparison.Ordinal);

        await end.CancelAsync();
        await guessing;
        await client.SayAsync($"AUTH PLAIN {s_ann}", "235 2.7.0");
    }

    [Fact]
    public async Task A_client_that_has_said_everything_and_closes_its_side_gets_the_answer_to_AUTH()
    {
        await using var host = await StartAsync();
        await using var client = await Client.ConnectAsync(host.Submission);
        using var enough = new CancellationTokenSource();
        var others = Occupy(host, enough.Token);
        await client.SendAsync($"EHLO client.example.net\r\nAUTH PLAIN {s_ann}\r\nQUIT\r\n");
        client.Socket.Shutdown(SocketShutdown.Send);
        await client.ExpectAsync("250");
        await client.ExpectAsync("235 2.7.0");
        await client.ExpectAsync("221");
        await client.ExpectEndAsync();
        await EndAsync(others, enough);
    }

    [Fact]
    public async Task A_client_that_is_gone_is_not_worked_for()
    {
        await using var host = await StartAsync();
        await using var client = await Client.GreetedAsync(host.Submission);
        using var enough = new CancellationTokenSource();
        var others = Occupy(host, enough.Token, 90);
        await client.SendAsync($"AUTH PLAIN {s_ann}\r\n");
        var verifier = host.Services.GetRequiredService<CredentialVerifier>();
        client.Socket.LingerState = new LingerOption(true, 0);
        client.Socket.Close();
        await host.NoSessionsAsync();
        Assert.False(others.IsCompleted);
        Assert.True(verifier.Waiting > 0);
        await EndAsync(others, enough);
    }

    private static Task<IngressHost> StartAsync(params (string Key, string Value)[] settings) => IngressHost.StartAsync(new Dictionary<string, string>(
        settings.Select(setting => KeyValuePair.Create(setting.Key, setting.Value)))
    {
        ["Ingress:AllowCleartextAuth"] = "true",
        ["Ingress:AuthFailureDelay"] = "00:00:00",
        ["Ingress:MaxAuthFailures"] = "1000",
        ["Ingress:MaxErrors"] = "1000",
    });

    /// <summary>Passwords that are looked at for some seconds, or until they have left.</summary>
    private static Task Occupy(IngressHost host, CancellationToken left, int forEach = 30) =>
        Task.WhenAll(Enumerable.Range(0, forEach * Math.Max(1, Environment.ProcessorCount / 2)).Select(number => VerifyAsync(host, number, $"guess{number}", left)));

    private static async Task EndAsync(Task others, CancellationTokenSource left)
    {
        await left.CancelAsync();
        await others.ContinueWith(_ => { }, TaskScheduler.Default);
        Assert.False(others.IsFaulted, $"{others.Exception}");
    }

    private static async Task<Verification> VerifyAsync(IngressHost host, int guesser, string name, CancellationToken left = default) =>
        await host.Services.GetRequiredService<CredentialVerifier>().VerifyAsync(
            $"{name}@example.com", "wrong", new LoginClient(new IPAddress([192, 0, 2, (byte)guesser]), CancellationToken.None, left));
}
