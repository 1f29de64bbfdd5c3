using MailPipeline.Testing;

namespace MailPipeline.Ingress.Tests;

/// <summary>Two processes over one PostgreSQL: who guesses at both has no more guesses than at one.</summary>
public sealed class SharedLoginTests
{
    private static readonly string s_right = Convert.ToBase64String("\0ann@example.com\0secret"u8);
    private static readonly string s_wrong = Convert.ToBase64String("\0ann@example.com\0wrong"u8);

    [Fact]
    public async Task A_name_that_fails_at_two_servers_is_paused_at_both_and_its_owner_logs_in_from_elsewhere()
    {
        await using var postgres = await PostgresServer.StartAsync();
        var settings = new Dictionary<string, string>
        {
            ["ConnectionStrings:maildb"] = await postgres.CreateDatabaseAsync() + ";Maximum Pool Size=3",
            ["Ingress:AllowCleartextAuth"] = "true",
            ["Ingress:AuthFailureDelay"] = "00:00:00",
            ["Ingress:MaxAuthFailures"] = "1000",
            ["Ingress:XclientFrom:0"] = "127.0.0.0/8",
        };
        await using var one = await IngressHost.StartAsync(settings);
        await using var other = await IngressHost.StartAsync(settings);
        await using var first = await Client.GreetedAsync(one.Submission);
        await using var second = await Client.GreetedAsync(other.Submission);

        foreach (var client in new[] { first, second, first, second, first, second })
            await client.SayAsync("AUTH PLAIN " + s_wrong, "535 5.7.8");
        foreach (var client in new[] { first, second })
        {
            await client.SayAsync("AUTH PLAIN " + s_wrong, "454 4.7.0");
            await client.SayAsync("XCLIENT ADDR=198.51.100.7", "220");
            await client.SayAsync("EHLO home", "250");
            await client.SayAsync("AUTH PLAIN " + s_right, "235 2.7.0");
        }
    }
}
