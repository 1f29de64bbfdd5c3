namespace MailPipeline.Ingress.Tests;

public sealed class OwnSenderCheckTests
{
    [Theory]
    [InlineData("ann@example.com", "250")]
    [InlineData("ANN@Example.com", "250")]
    [InlineData("sales@example.com", "250")]
    [InlineData("whoever@example.org", "250")]
    [InlineData("", "250")]
    [InlineData("other@example.com", "553 5.7.1")]
    [InlineData("president@example.net", "553 5.7.1")]
    public async Task A_user_sends_as_himself(string sender, string reply)
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        await client.SayAsync($"MAIL FROM:<{sender}>", reply);
    }

    /// <summary>A catch-all leads its owner only what nothing else has.</summary>
    [Theory]
    [InlineData("whoever@example.org", "250")]
    [InlineData("bob@example.org", "553 5.7.1")]
    [InlineData("BOB@example.org", "553 5.7.1")]
    [InlineData("info@example.org", "553 5.7.1")]
    [InlineData("dead@example.org", "553 5.7.1")]
    // Bob has mail for himself sent on to her too; he stays the one who writes as Bob.
    [InlineData("bob@example.com", "553 5.7.1")]
    [InlineData("team@example.com", "250")]
    public async Task The_owner_of_a_catch_all_is_not_those_who_have_a_name_of_their_own(string sender, string reply)
    {
        await using var host = await IngressHost.StartAsync();
        await host.Directory.AddAccountAsync("bob@example.org", "hash");
        await host.Directory.AddAccountAsync("bob@example.com", "hash");
        foreach (var (alias, target) in new[]
        {
            ("info@example.org", "bob@example.org"), ("dead@example.org", "gone@example.net"),
            ("bob@example.com", "bob@example.com"), ("bob@example.com", "ann@example.com"), ("team@example.com", "sales@example.com"),
        })
        {
            await host.Directory.AddAliasAsync(alias, target);
        }
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        await client.SayAsync($"MAIL FROM:<{sender}>", reply);
    }

    [Fact]
    public async Task A_user_sends_as_anybody_where_the_operator_allows_it()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:Checks:OwnSender:AllowForeign"] = "true" });
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        await client.SayAsync("MAIL FROM:<president@example.net>", "250");
    }
}
