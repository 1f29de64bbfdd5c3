namespace MailPipeline.Ingress.Tests;

public sealed class HopCheckTests
{
    [Theory]
    [InlineData(10, "250 2.0.0")]
    [InlineData(11, "554 5.4.6")]
    public async Task More_hops_than_the_operator_allows_are_a_loop(int hops, string reply)
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:Checks:Hops:Max"] = "10" });
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync(string.Concat(Enumerable.Repeat("Received: x\r\n", hops)) + "\r\nz", reply);
    }
}
