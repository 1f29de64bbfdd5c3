using System.Net;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;

namespace MailPipeline.Ingress.Tests;

/// <summary>Our own MTA-STS policy on the HTTP port (RFC 8461 §3.2).</summary>
public sealed class OwnPolicyTests
{
    [Theory]
    [InlineData("GET", "mta-sts.example.com", HttpStatusCode.OK)]
    [InlineData("GET", "MTA-STS.Example.ORG:443", HttpStatusCode.OK)]
    [InlineData("HEAD", "mta-sts.example.com", HttpStatusCode.OK)]
    [InlineData("GET", "mta-sts.example.net", HttpStatusCode.NotFound)]
    [InlineData("GET", "example.com", HttpStatusCode.NotFound)]
    [InlineData("GET", "mta-sts.", HttpStatusCode.NotFound)]
    [InlineData("GET", "www.mta-sts.example.com", HttpStatusCode.NotFound)]
    [InlineData("POST", "mta-sts.example.com", HttpStatusCode.MethodNotAllowed)]
    public async Task It_is_served_for_domains_of_ours_alone(string method, string name, HttpStatusCode status)
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string>
        {
            ["Ingress:MtaSts:Mode"] = "Enforce", ["Ingress:MtaSts:Mx"] = "mx1.example.com, *.MX.example.com", ["Ingress:MtaSts:MaxAge"] = "14d",
        });
        using var answer = await AskAsync(host, method, name);
        Assert.Equal(status, answer.StatusCode);
        if (status != HttpStatusCode.OK)
            return;
        Assert.Equal("text/plain", answer.Content.Headers.ContentType!.MediaType);
        const string Policy = "version: STSv1\r\nmode: enforce\r\nmx: mx1.example.com\r\nmx: *.mx.example.com\r\nmax_age: 1209600\r\n";
        Assert.Equal(Policy.Length, answer.Content.Headers.ContentLength);
        if (method == "GET")
            Assert.Equal(Policy, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Nothing_is_served_unless_the_operator_says_so()
    {
        await using var host = await IngressHost.StartAsync();
        using var answer = await AskAsync(host, "GET", "mta-sts.example.com");
        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
    }

    [Fact]
    public void Each_policy_has_an_id_of_its_own()
    {
        var policies = new[] { MtaStsMode.None, MtaStsMode.Testing, MtaStsMode.Enforce }.Select(mode => OwnPolicy.Write(new IngressOptions { HostName = "mx.example.com", MtaSts = new() { Mode = mode } })).ToList();
        Assert.Contains("mx: mx.example.com\r\n", policies[0], StringComparison.Ordinal);
        Assert.Equal(3, policies.Select(OwnPolicy.IdOf).Distinct().Count());
        Assert.All(policies, policy => Assert.Matches("^[0-9a-f]{20}$", OwnPolicy.IdOf(policy)));
    }

    private static async Task<HttpResponseMessage> AskAsync(IngressHost host, string method, string name)
    {
        using var client = new HttpClient();
        var address = host.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri(new Uri(address), "/.well-known/mta-sts.txt"));
        request.Headers.Host = name;
        return await client.SendAsync(request, TestContext.Current.CancellationToken);
    }
}
