using MailPipeline.Ingress.Checks;
using MailPipeline.Mail;
using MailPipeline.Testing;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;

namespace MailPipeline.Ingress.Tests;

/// <summary>How much of a sender may wait: <see cref="SenderQueueCheck"/> and <see cref="SenderQueues"/>.</summary>
public sealed class SenderQueueCheckTests
{
    private const string Full = "452 4.3.1 Too much of your mail waits here, try again later";

    private static readonly Dictionary<string, string> s_settings = new() { ["Ingress:AllowCleartextAuth"] = "true" };

    [Fact]
    public async Task An_account_may_have_so_many_recipients_waiting_and_more_when_some_have_gone()
    {
        using var policy = new WrittenPolicy("""{ "SenderQueues": [ { "From": "ann@example.com", "MaxRecipients": 3 } ] }""");
        await using var host = await policy.StartAsync(settings: s_settings);
        await using (var user = await UserAsync(host))
        {
            // What is named and not sent does not count.
            await user.SayAsync("MAIL FROM:<ann@example.com>", "250");
            foreach (var (recipient, reply) in new[] { ("a", "250"), ("b", "250"), ("c", "250"), ("d", Full) })
                await user.SayAsync($"RCPT TO:<{recipient}@example.net>", reply);
            await user.SayAsync("RSET", "250");
            await SendAsync(user, "ann@example.com", "a@example.net", "b@example.net");
            await user.SayAsync("MAIL FROM:<ann@example.com>", "250");
            await user.SayAsync("RCPT TO:<a@example.net>", "250");
            await user.SayAsync("RCPT TO:<b@example.net>", Full);
        }

        // In another session, and under another sender of hers, too; others go on.
        await using var again = await UserAsync(host);
        await again.SayAsync("MAIL FROM:<sales@example.com>", "250");
        await again.SayAsync("RCPT TO:<a@example.net>", "250");
        await again.SayAsync("RCPT TO:<b@example.net>", Full);
        await using var stranger = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.9");
        await SendAsync(stranger, "bob@example.net", "ann@example.com", "sales@example.com", "x@example.org", "y@example.org");

        await ExecuteAsync(host, "DELETE FROM unrouted");
        var queues = host.Services.GetRequiredService<SenderQueues>();
        await Eventually.TrueAsync(async () => await queues.HaveRoomAsync("ann@example.com", 2, default), TimeSpan.FromSeconds(20));
        await again.SayAsync("RCPT TO:<b@example.net>", "250");
    }

    [Fact]
    public async Task Strangers_are_bounded_by_the_domain_of_their_sender_also_where_others_have_taken_their_mail()
    {
        using var policy = new WrittenPolicy("{}");
        await using var host = await policy.StartAsync(settings: s_settings);
        await using var stranger = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.9");
        await SendAsync(stranger, "bob@bulk.example.net", "ann@example.com", "sales@example.com", "x@example.org");
        // As another door and the router leave it.
        await ExecuteAsync(
            host,
            """
            INSERT INTO recipients (id, address, original, domain, route, flow, state, attempts, next_attempt_at, claim, updated_at)
            SELECT 900000 + value, 'a@example.net', '', 'd' || value || '.example', 0, 'bulk.example.net', 0, 0, 1, 0, 0 FROM (SELECT 1 AS value UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4)
            """);

        policy.Write("""{ "SenderQueues": [ { "From": "free@example.net", "MaxRecipients": 0 }, { "From": "*.example.net", "MaxRecipients": 8 }, { "From": "*", "MaxRecipients": 1000 } ] }""");
        host.Services.GetRequiredService<PolicyFile>().Look();
        await host.Services.GetRequiredService<SenderQueues>().LookAsync(default);
        await stranger.SayAsync("MAIL FROM:<eve@bulk.example.net>", "250");
        await stranger.SayAsync("RCPT TO:<ann@example.com>", "250");
        await stranger.SayAsync("RCPT TO:<sales@example.com>", Full);
        await stranger.SayAsync("RSET", "250");
        await SendAsync(stranger, "eve@other.example", "ann@example.com", "sales@example.com");

        policy.Write("{}");
        host.Services.GetRequiredService<PolicyFile>().Look();
        await SendAsync(stranger, "eve@bulk.example.net", "ann@example.com", "sales@example.com");
    }

    [Fact]
    public async Task Who_is_far_below_his_bound_costs_storage_no_question()
    {
        using var policy = new WrittenPolicy("""{ "SenderQueues": [ { "From": "*", "MaxRecipients": 1000 } ] }""");
        await using var host = await policy.StartAsync(settings: s_settings);
        var queues = host.Services.GetRequiredService<SenderQueues>();
        await queues.LookAsync(default);
        await ExecuteAsync(host, "ALTER TABLE unrouted_dsn RENAME TO gone");
        // Whoever asked it now would be told "later".
        await using var stranger = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.9");
        await SendAsync(stranger, "eve@bulk.example.net", "ann@example.com", "sales@example.com");
        Assert.True(await queues.HaveRoomAsync("bulk.example.net", 10, default));
        await Assert.ThrowsAnyAsync<Exception>(async () => await queues.HaveRoomAsync("bulk.example.net", 999, default));
        await ExecuteAsync(host, "ALTER TABLE gone RENAME TO unrouted_dsn");
        Assert.False(await queues.HaveRoomAsync("bulk.example.net", 999, default));
        Assert.True(await queues.HaveRoomAsync("bulk.example.net", 998, default));
    }

    [Theory]
    [InlineData("""{ "SenderQueues": [ { "From": "a b", "MaxRecipients": 1 } ] }""", "Policy:SenderQueues:0:From is 'a b'; it must be an address, a domain, ")]
    [InlineData("""{ "SenderQueues": [ { "From": "a.example" } ] }""", "Policy:SenderQueues:0:MaxRecipients is not set; it must be 1 to 1000000000, or 0 for no bound")]
    [InlineData("""{ "SenderQueues": [ { "From": "*", "MaxRecipients": -1 } ] }""", "Policy:SenderQueues:0:MaxRecipients is -1; it must be 1 to 1000000000")]
    [InlineData("""{ "SenderQueues": [ { "From": "*", "MaxRecipients": 1 }, { "From": "*", "MaxRecipients": 2 } ] }""", "Policy:SenderQueues:1:From is '*', as that of an entry before")]
    public void What_is_wrong_is_said_with_its_name(string json, string expected)
    {
        using var policy = new WrittenPolicy(json);
        var failures = new List<string>();
        PolicyFile.Validate("Ingress:Checks:PolicyFile", policy.Path, [], failures);
        Assert.Contains(failures, said => said.Contains(expected, StringComparison.Ordinal));
    }

    private static async Task SendAsync(Client client, string sender, params string[] recipients)
    {
        await client.SayAsync($"MAIL FROM:<{sender}>", "250");
        foreach (var recipient in recipients)
            await client.SayAsync($"RCPT TO:<{recipient}>", "250");
        await client.SayAsync("DATA", "354");
        await client.SayAsync($"From: {sender}\r\n\r\nx\r\n.", "250");
    }

    private static async Task<Client> UserAsync(IngressHost host)
    {
        var client = await WrittenPolicy.GreetedAsync(host.Submission, "203.0.113.1");
        await client.SayAsync("AUTH PLAIN " + Convert.ToBase64String("\0ann@example.com\0secret"u8), "235");
        return client;
    }

    private static async Task ExecuteAsync(IngressHost host, string sql)
    {
        await using var connection = new SqliteConnection($"Data Source={host.DatabasePath}");
        await connection.OpenAsync();
        await using var command = connection.CreateCommand();
#pragma warning disable CA2100 // Written by the test.
        command.CommandText = sql;
#pragma warning restore CA2100
        await command.ExecuteNonQueryAsync();
    }
}
