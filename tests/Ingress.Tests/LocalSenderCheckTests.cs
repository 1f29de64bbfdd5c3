namespace MailPipeline.Ingress.Tests;

public sealed class LocalSenderCheckTests
{
    [Theory]
    [InlineData("Accept", "ann@example.com", "250")]
    [InlineData("Refuse", "ann@example.com", "550 5.7.1")]
    [InlineData("Refuse", "nobody@example.com", "550 5.7.1")]
    [InlineData("Refuse", "you@example.net", "250")]
    [InlineData("Refuse", "", "250")]
    public async Task A_stranger_with_a_sender_of_ours_is_taken_as_the_operator_says(string setting, string sender, string reply)
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:Checks:LocalSender:Policy"] = setting });
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync($"MAIL FROM:<{sender}>", reply);
    }
}
