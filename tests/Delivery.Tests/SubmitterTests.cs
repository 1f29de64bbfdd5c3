using MailPipeline.Delivery.Routing;
using MailPipeline.Mail;
using MailPipeline.Smtp;
using MailPipeline.Testing;

namespace MailPipeline.Delivery.Tests;

/// <summary>Who hears who submitted a message (AUTH= of MAIL, RFC 4954 §5): hosts that we trust, and that know the parameter.</summary>
public sealed class SubmitterTests : IDisposable
{
    private readonly TempFolder _folder = new("submitter");

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("127.0.0.1", "S: 250-AUTH PLAIN\n", " AUTH=e+3Dmc2@example.com")]
    [InlineData("127.0.0.1", "S: 250-AUTH=PLAIN\n", " AUTH=e+3Dmc2@example.com")]
    [InlineData("127.0.0.1", "", "")]
    [InlineData("192.0.2.1", "S: 250-AUTH PLAIN\n", "")]
    [InlineData("", "S: 250-AUTH PLAIN\n", "")]
    public async Task A_host_that_the_operator_lists_and_that_offers_AUTH(string hosts, string line, string parameter)
    {
        var report = await RunAsync("e=mc2@example.com", Hello(line) + Mail(parameter), bench => bench.Options.SubmitterHosts = [.. hosts.Split(',', StringSplitOptions.RemoveEmptyEntries)]);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(report));
    }

    [Theory]
    [InlineData("ann@example.com", " AUTH=ann@example.com")]
    [InlineData("<>", " AUTH=<>")]
    // The message goes without SMTPUTF8, and so does its command.
    [InlineData("jos\u00e9@example.com", " AUTH=<>")]
    public async Task A_smarthost_that_knows_us(string submitter, string parameter)
    {
        var credentials = _folder.Write("credentials", "ann\ns3cret-words\n");
        var report = await RunAsync(
            submitter,
            Hello("S: 250-AUTH PLAIN\n") + $"C: AUTH PLAIN {Convert.ToBase64String("\0ann\0s3cret-words"u8)}\nS: 235 Welcome\n" + Mail(parameter),
            bench => bench.Options.Smarthosts[0].Credentials = credentials);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task By_its_name_in_any_letters()
    {
        await using var server = new ScriptedServer(Hello("S: 250-AUTH PLAIN\n") + Mail(" AUTH=<>"));
        await using var bench = new Bench(options => (options.Port, options.SubmitterHosts) = (server.Port, ["MX.example.net"]));
        bench.Dns.WithMx(Bench.Domain, (10, "mx.example.net")).WithAddress("mx.example.net", "127.0.0.1");
        var message = bench.Message("one\r\n", body: BodyType.Submitter);
        bench.Content.Submitters[message[0].MessageId] = MailSubmitter.Unknown;
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(message)));
        await server.FinishAsync();
    }

    [Theory]
    [InlineData("127.0.0.1", "S: 250-AUTH PLAIN\n", " AUTH=<>", 1)]
    [InlineData("127.0.0.1", "", "", 0)]
    [InlineData("192.0.2.1", "S: 250-AUTH PLAIN\n", "", 0)]
    public async Task Storage_is_asked_for_a_host_that_is_told_and_for_no_other(string host, string line, string parameter, int asked)
    {
        await using var server = new ScriptedServer(Hello(line) + Mail(parameter));
        await using var bench = new Bench(options => options.SubmitterHosts = [host]);
        bench.RouteTo(server);
        var message = bench.Message("one\r\n", body: BodyType.Submitter);
        bench.Content.Submitters[message[0].MessageId] = MailSubmitter.Unknown;
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(message)));
        Assert.Equal(asked, bench.Content.SubmittersAsked);
    }

    [Fact]
    public async Task That_nobody_knows_is_said_without_asking_storage()
    {
        await using var server = new ScriptedServer(Hello("S: 250-AUTH PLAIN\n") + Mail(" AUTH=<>"));
        await using var bench = new Bench(options => options.SubmitterHosts = ["127.0.0.1"]);
        bench.RouteTo(server);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n", body: BodyType.UnknownSubmitter))));
        Assert.Equal(0, bench.Content.SubmittersAsked);
        await server.FinishAsync();
    }

    [Fact]
    public async Task Of_whom_nothing_was_said_nothing_is_said()
    {
        await using var server = new ScriptedServer(Hello("S: 250-AUTH PLAIN\n") + Mail(""));
        await using var bench = new Bench(options => options.SubmitterHosts = ["127.0.0.1"]);
        bench.RouteTo(server);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        await server.FinishAsync();
    }

    private static string Hello(string line) => "S: 220 mx.example.net\nC: EHLO client.example.com\nS: 250-mx.example.net\n" + line + "S: 250 8BITMIME\n";

    private static string Mail(string parameter) =>
        $"""
        C: MAIL FROM:<sender@example.com>{parameter}
        S: 250 Ok
        C: RCPT TO:<user1@example.net>
        S: 250 Ok
        C: DATA
        S: 354 Go on
        C: one
        C: .
        S: 250 Taken
        C: QUIT
        S: 221 Bye

        """;

    private static async Task<AttemptReport> RunAsync(string submitter, string script, Action<Bench> configure)
    {
        await using var server = new ScriptedServer(script);
        await using var bench = new Bench();
        bench.Options.Smarthosts.Add(new SmarthostOptions { Host = $"127.0.0.1:{server.Port}", Tls = TlsPolicy.None, AllowCleartextAuth = true });
        configure(bench);
        var message = bench.Message("one\r\n", body: BodyType.Submitter);
        bench.Content.Submitters[message[0].MessageId] = MailSubmitter.Parse(submitter)!;
        var report = await bench.RunAsync(message);
        await server.FinishAsync();
        return report;
    }
}
