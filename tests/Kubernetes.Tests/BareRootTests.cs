using MailPipeline.Testing;

namespace MailPipeline.Kubernetes.Tests;

/// <summary>The services run where there is no more than in their images.</summary>
public sealed class BareRootTests
{
    [Fact]
    public async Task Each_service_starts_without_a_complaint_where_there_is_no_more_than_in_its_image()
    {
        var cancellation = TestContext.Current.CancellationToken;
        using var root = await BareRoot.CreateAsync(cancellation);
        await using var postgres = await PostgresServer.StartAsync();
        await using var redis = await MailPipeline.Testing.RedisServer.StartAsync(cancellation);
        // Ready without a broker is right: mail is kept. So none is started.
        foreach (var service in new[] { "Ingress", "Queue", "Delivery", "Mailbox", "Console" })
        {
            var http = FreePorts.Next();
            var environment = new Dictionary<string, string?>
            {
                ["Http__Port"] = $"{http}",
                ["Tls__SelfSignedDirectory"] = "/tmp/tls",
                ["ConnectionStrings__maildb"] = postgres.ConnectionString(),
                ["ConnectionStrings__rabbitmq"] = "amqp://user:password@127.0.0.1:9/",
            };
            switch (service)
            {
                case "Ingress":
                    environment["Ingress__Listeners__0__Kind"] = "Mx";
                    environment["Ingress__Listeners__0__Port"] = $"{FreePorts.Next()}";
                    break;
                case "Mailbox":
                    environment["Mailbox__Listeners__0__Port"] = $"{FreePorts.Next()}";
                    break;
                case "Console":
                    environment["Console__TlsPort"] = $"{FreePorts.Next()}";
                    break;
                case "Queue":
                    environment["ConnectionStrings__redis"] = redis.ConnectionString;
                    environment["Queue__SiloPort"] = $"{FreePorts.Next()}";
                    break;
            }
            await using var process = root.Start(BuiltProgram.Find(service), [], environment);
            using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(5) };
            await process.WaitUntilAsync(
                async token =>
                {
                    try
                    {
                        using var ready = await client.GetAsync(new Uri($"http://127.0.0.1:{http}/health/ready"), token);
                        return ready.IsSuccessStatusCode;
                    }
                    catch (HttpRequestException)
                    {
                        return false;
                    }
                },
                TimeSpan.FromSeconds(60), service, cancellation);

            var complaints = process.Output.Split('\n').Where(line =>
                line.Contains("gssapi", StringComparison.OrdinalIgnoreCase) || line.Contains("libicu", StringComparison.OrdinalIgnoreCase)
                || line.Contains("Overriding address", StringComparison.Ordinal) || line.Contains(" fail ", StringComparison.Ordinal));
            Assert.Empty(complaints);
        }
    }
}
