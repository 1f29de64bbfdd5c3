using MailPipeline.Mail;
using Microsoft.Extensions.DependencyInjection;

namespace MailPipeline.Ingress.Tests;

/// <summary>ETRN (RFC 1985): the replies mean what the document says.</summary>
public sealed class QueueStartTests
{
    [Fact]
    public async Task A_user_starts_the_queue_of_a_domain_once_in_a_while()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        await client.SayAsync("ETRN example.net", "251 2.0.0 OK, no messages waiting for node example.net");
        await QueueAsync(host, "you@example.net", "they@mx.example.net");
        await QueueAsync(host, "you@example.net");
        await client.SayAsync("ETRN Example.NET", "253 2.0.0 OK, 2 pending messages for node example.net started");
        await client.SayAsync("ETRN example.net", "458 4.7.0 Unable to queue messages for node example.net");
        await client.SayAsync("ETRN @example.net", "253 2.0.0 OK, 1 pending messages for node example.net started");
        await client.SayAsync("ETRN @example.net", "458 4.7.0");
        await client.SayAsync("ETRN @example.org", "251 2.0.0");
        var noted = await host.Services.GetRequiredService<AuditLog>().ListAsync(DateTimeOffset.UnixEpoch, 10, Deadline.Token);
        Assert.Equal(
            [("mx.example.net", "ann@example.com", "127.0.0.1"), ("example.net", "ann@example.com", "127.0.0.1")],
            noted.Where(entry => entry.Action == OperatorAction.DomainFlushed).Select(entry => (entry.Subject, entry.Operator, entry.Host)));
    }

    [Fact]
    public async Task While_delivery_is_paused_nothing_is_started()
    {
        await using var host = await IngressHost.StartAsync();
        await QueueAsync(host, "you@example.net");
        await host.Services.GetRequiredService<OperatorStore>().PauseDeliveryAsync(new("ann"));
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        await client.SayAsync("ETRN example.net", "458 4.3.2 Unable to queue messages for node example.net, delivery is paused");
    }

    [Fact]
    public async Task Only_who_has_logged_in_or_is_listed_may_ask()
    {
        await using (var host = await IngressHost.StartAsync())
        {
            await using var stranger = await Client.GreetedAsync(host.Mx);
            await stranger.SayAsync("ETRN example.net", "502 5.5.1");
            await using var user = await Client.GreetedAsync(host.Submission);
            await user.SayAsync("ETRN example.net", "530 5.7.0");
        }

        await using var open = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:EtrnClients:0"] = "127.0.0.0/8" });
        await QueueAsync(open, "you@example.net");
        await using var listed = await Client.ConnectAsync(open.Mx);
        Assert.Contains("ETRN", await listed.SayAsync("EHLO x", "250"), StringComparison.Ordinal);
        await listed.SayAsync("ETRN example.net", "253 2.0.0");
        var noted = await open.Services.GetRequiredService<AuditLog>().ListAsync(DateTimeOffset.UnixEpoch, 10, Deadline.Token);
        Assert.Equal("127.0.0.1", noted[0].Operator);
    }

    [Fact]
    public async Task A_flood_starts_a_bounded_number_of_domains_and_ends_its_session()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:EtrnMaxDomains"] = "5" });
        for (var i = 0; i < 10; i++)
            await QueueAsync(host, $"you@d{i}.example");
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        for (var i = 0; i < 10; i++)
            await client.SayAsync($"ETRN d{i}.example", i < 5 ? "253" : "458 4.7.0");
        await client.SendAsync(string.Concat(Enumerable.Repeat("ETRN d0.example\r\n", 200)));
        string? last = null;
        while (await client.ReplyAsync() is { } reply)
            last = reply;
        Assert.StartsWith("421 4.7.0 Too many commands", last, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_no_network_is_a_wrong_setting() => Assert.Equal(
        ["Ingress:EtrnClients:0 is 'everybody'; it must be an IP address or a network such as 192.0.2.0/24"],
        (await Assert.ThrowsAsync<Microsoft.Extensions.Options.OptionsValidationException>(
            async () => await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:EtrnClients:0"] = "everybody" }))).Failures);

    /// <summary>A message is accepted and routed.</summary>
    private static async Task QueueAsync(IngressHost host, params string[] recipients)
    {
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        await client.SayAsync("MAIL FROM:<ann@example.com>", "250");
        foreach (var recipient in recipients)
            await client.SayAsync($"RCPT TO:<{recipient}>", "250");
        await client.SayAsync("DATA", "354");
        await client.SayAsync("x: y\r\n.", "250");
        var message = await host.NextHintAsync();
        await host.Services.GetRequiredService<QueueStore>().RouteAsync(
            [new(message, [.. message.Recipients.Select(address => new RoutedRecipient(address, "", address[(address.IndexOf('@') + 1)..], RecipientRoute.Remote))])]);
    }
}
