using System.Net;
using System.Net.Sockets;
using System.Text;

namespace MailPipeline.AppHost.Tests;

/// <summary>The dashboard's test message says what became of it.</summary>
public sealed class TestMessageTests
{
    private const string Accepted = "2026-11-29T00:00:00.000Z accepted as 1E from <test@example.org>, 100 octets\n";
    private const string Routed = Accepted + "                         routed to <somebody@example.net>, by SMTP\n";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_delivery_is_told_with_the_host_that_took_it()
    {
        var result = await SendAsync(
            "250 2.0.0 Ok: queued as 1E", Accepted, Routed,
            Routed + "2026-11-29T00:00:01.000Z   attempt 1 at mailpit[127.0.0.1]:11025 from mail-1[127.0.0.1]: delivered 2.0.0 250 2.0.0 Ok (0.010 s)\n"
                + "2026-11-29T00:00:01.000Z   delivered\n");
        Assert.True(result.Success);
        Assert.Equal("Message 1E is delivered at mailpit[127.0.0.1]:11025: 2.0.0 250 2.0.0 Ok (0.010 s)", result.Message);
        Assert.Contains("routed to <somebody@example.net>", result.Data!.Value, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_deferral_is_told_with_its_reason()
    {
        var result = await SendAsync(
            "250 2.0.0 Ok: queued as 1E",
            Routed + "2026-11-29T00:00:01.000Z   attempt 1: deferred 4.4.1 127.0.0.1:11025 refused the connection (0.010 s)\n"
                + "                           waits until 2026-11-29T00:01:00Z\n");
        Assert.False(result.Success);
        Assert.Equal("Message 1E is deferred: 4.4.1 127.0.0.1:11025 refused the connection (0.010 s)", result.Message);
    }

    [Fact]
    public async Task A_refusal_is_told_as_it_was_said()
    {
        var result = await SendAsync("452 4.3.1 Insufficient system storage");
        Assert.False(result.Success);
        Assert.EndsWith("452 4.3.1 Insufficient system storage", result.Message, StringComparison.Ordinal);
    }

    /// <param name="reply">To the message.</param>
    /// <param name="timelines">What is known of it, one after the other.</param>
    private static async Task<Aspire.Hosting.ApplicationModel.ExecuteCommandResult> SendAsync(string reply, params string[] timelines)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var serving = ServeAsync(listener, reply);
        var asked = 0;
        var message = new TestMessage(
            (id, _) =>
            {
                Assert.Equal("1E", id);
                return Task.FromResult(timelines[asked++]);
            },
            TimeProvider.System);
        var result = await message.SendAsync("127.0.0.1", ((IPEndPoint)listener.LocalEndpoint).Port, Cancellation);
        await serving;
        return result;
    }

    private static async Task ServeAsync(TcpListener listener, string reply)
    {
        using var client = await listener.AcceptTcpClientAsync(Cancellation);
        await using var stream = client.GetStream();
        using var reader = new StreamReader(stream, Encoding.ASCII);
        await SayAsync("220 mx.example.org");
        foreach (var answer in new[] { "250-mx.example.org\r\n250 SIZE", "250 Ok", "250 Ok", "354 Go on" })
        {
            await reader.ReadLineAsync(Cancellation);
            await SayAsync(answer);
        }

        while (await reader.ReadLineAsync(Cancellation) is { } line && line != ".")
        {
        }

        await SayAsync(reply);

        async Task SayAsync(string text) => await stream.WriteAsync(Encoding.ASCII.GetBytes(text + "\r\n"), Cancellation);
    }
}
