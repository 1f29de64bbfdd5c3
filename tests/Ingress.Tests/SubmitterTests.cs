using MailPipeline.Mail;
using MailPipeline.Smtp;
using Microsoft.Extensions.DependencyInjection;

namespace MailPipeline.Ingress.Tests;

/// <summary>Who is believed that somebody has submitted a message (AUTH= of MAIL, RFC 4954 §5).</summary>
public sealed class SubmitterTests
{
    [Theory]
    [InlineData("ann@example.com", "ann@example.com")]
    [InlineData("sales@example.com", "sales@example.com")]
    [InlineData("boss@example.net", "<>")]
    [InlineData("bob@example.com", "<>")]
    [InlineData("<>", "<>")]
    [InlineData(null, null)]
    public async Task A_user_speaks_for_himself(string? said, string? kept)
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        Assert.Equal(kept, await SubmitAsync(host, client, "ann@example.com", "you@example.net", said));
    }

    [Fact]
    public async Task Who_may_send_as_anybody_speaks_for_anybody()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:Checks:OwnSender:AllowForeign"] = "true" });
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        Assert.Equal("boss@example.net", await SubmitAsync(host, client, "ann@example.com", "you@example.net", "boss@example.net"));
    }

    [Theory]
    [InlineData("127.0.0.0/8", "boss@example.net")]
    [InlineData("192.0.2.0/24", "<>")]
    public async Task A_server_that_relays_by_us_is_believed_and_a_stranger_is_not(string relayClients, string kept)
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string>
        {
            ["Ingress:RelayClients:0"] = relayClients,
            ["Ingress:Listeners:0:Auth"] = "true",
            ["Ingress:AllowCleartextAuth"] = "true",
        });
        await using var client = await Client.ConnectAsync(host.Mx);
        Assert.Contains("AUTH", await client.SayAsync("EHLO x", "250"), StringComparison.Ordinal);
        Assert.Equal(kept, await SubmitAsync(host, client, "bob@example.net", "ann@example.com", "boss@example.net"));
    }

    [Fact]
    public async Task What_it_is_not_is_refused_and_nothing_of_it_gets_into_a_message()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        foreach (var value in new[] { "ann", "a+0D+0Ab@example.com", "+22a+00+22@example.com", "ann@example.com+20SIZE=1", "<> AUTH=<>" })
            await client.SayAsync($"MAIL FROM:<ann@example.com> AUTH={value}", "501 5.5.4 AUTH is <> or a mailbox, in xtext, and stands once");
    }

    /// <summary>As it is kept; null: nothing was said.</summary>
    private static async Task<string?> SubmitAsync(IngressHost host, Client client, string sender, string recipient, string? said)
    {
        await client.SayAsync($"MAIL FROM:<{sender}>{(said is null ? "" : $" AUTH={said}")}", "250 2.1.0");
        await client.SayAsync($"RCPT TO:<{recipient}>", "250 2.1.5");
        await client.SayAsync("DATA", "354");
        await client.SayAsync("x: y\r\n\r\n.", "250 2.0.0");
        var message = await host.NextHintAsync();
        var kept = await ActivatorUtilities.CreateInstance<SubmitterStore>(host.Services).FindAsync(message.MessageId, default);
        Assert.Equal(kept is not null, message.Body.HasFlag(BodyType.Submitter));
        // It takes no row of another kind than one of whom nothing was said.
        Assert.NotEqual(MailSubmitter.Unknown, kept);
        return message.Body.HasFlag(BodyType.UnknownSubmitter) ? MailSubmitter.Unknown.ToText() : kept?.ToText();
    }
}
