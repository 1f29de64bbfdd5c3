using System.Net;
using System.Text;
using MailPipeline.Testing;

namespace MailPipeline.EndToEnd.Tests;

/// <summary>The corpus goes out over MX records of a real DNS server to other people's servers, byte for byte.</summary>
public sealed class RealReceiverTests(RealReceiverTests.Fixture fixture) : IClassFixture<RealReceiverTests.Fixture>
{
    public sealed class Fixture : IAsyncLifetime
    {
        internal Pipeline Pipeline { get; } = new("receivers");

        internal DnsServer Dns { get; private set; } = null!;

        internal PostfixServer Postfix { get; private set; } = null!;

        internal SmtpSink Sink { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            // One port for all hosts, as on the real net; hosts differ by address.
            var port = FreePorts.Next();
            Sink = await SmtpSink.StartAsync(address: IPAddress.Parse("127.0.0.3"), port: port);
            Dns = await DnsServer.StartAsync(
                """
                postfix.example. MX 10 mx.postfix.example.
                mx.postfix.example. A 127.0.0.2
                sink.example. MX 10 mx.sink.example.
                mx.sink.example. A 127.0.0.3
                second.example. MX 10 dead.second.example.
                second.example. MX 20 mx.postfix.example.
                dead.second.example. A 127.0.0.9
                implicit.example. A 127.0.0.3
                null.example. MX 0 .
                """);
            await Pipeline.StartAsync(
                ["ann"],
                [.. Pipeline.Impatient, $"--Dns:Servers:0={Dns.EndPoint}", $"--Delivery:Port={port}", "--Delivery:LocalAddresses=Allow"],
                default);
            // By STARTTLS, with a certificate that is there already; in the tests of reports it speaks in clear.
            Postfix = await PostfixServer.StartAsync(new()
            {
                Domains = ["postfix.example", "second.example"],
                Address = IPAddress.Parse("127.0.0.2"),
                Port = port,
                Settings = $"""
                    smtpd_tls_security_level = may
                    smtpd_tls_received_header = yes
                    smtpd_tls_cert_file = {Pipeline.Folder["data/tls/certificate.pem"]}
                    smtpd_tls_key_file = {Pipeline.Folder["data/tls/key.pem"]}
                    """,
            });
        }

        public async ValueTask DisposeAsync()
        {
            await Pipeline.DisposeAsync();
            if (Postfix is not null)
                await Postfix.DisposeAsync();
            if (Sink is not null)
                await Sink.DisposeAsync();
            if (Dns is not null)
                await Dns.DisposeAsync();
        }
    }

    private const string Ann = $"ann@{Pipeline.LocalDomain}";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private Pipeline Pipeline => fixture.Pipeline;

    public static TheoryData<string> AllNames => [.. Corpus.Names];

    [Theory, MemberData(nameof(AllNames))]
    public async Task Postfix_receives_it(string name)
    {
        var message = Corpus.Create(name, Token(), Ann, "user@postfix.example");
        await SubmitAsync(message);
        var copy = await ArrivalAsync(message, fixture.Postfix.ReadMaildir);
        Received.AssertWhole(message, Received.WithCrLf(copy));
        Assert.Contains("(using TLSv1.3 with cipher ", Encoding.Latin1.GetString(copy), StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(AllNames))]
    public async Task Smtp_sink_receives_it(string name)
    {
        var message = Corpus.Create(name, Token(), Ann, "user@sink.example");
        await SubmitAsync(message);
        // smtp-sink ends each of its files with an empty line.
        var kept = Received.WithCrLf(await ArrivalAsync(message, fixture.Sink.ReadMessages));
        Received.AssertWhole(message, kept.AsSpan()[..^2]);
    }

    [Fact]
    public async Task The_next_host_is_tried_when_the_first_is_dead()
    {
        var message = Corpus.Create("plain", Token(), Ann, "user@second.example");
        await SubmitAsync(message);
        Received.AssertWhole(message, Received.WithCrLf(await ArrivalAsync(message, fixture.Postfix.ReadMaildir)));
    }

    [Fact]
    public async Task A_domain_without_MX_is_its_own_host()
    {
        var message = Corpus.Create("plain", Token(), Ann, "user@implicit.example");
        await SubmitAsync(message);
        await ArrivalAsync(message, fixture.Sink.ReadMessages);
    }

    [Theory]
    [InlineData("user@null.example", "5.1.10")] // RFC 7505 §4.2
    [InlineData("user@nowhere.example", "5.1.2")] // RFC 3463 §3.2
    public async Task Mail_to_a_domain_that_takes_none_bounces_at_once(string recipient, string status)
    {
        await using var ledgers = new Pipeline("bounces");
        var message = new LedgerMessage(Token(), Ann, [new ExpectedRecipient(recipient, ExpectedOutcome.Bounced, status)], "\r\nbody\r\n"u8.ToArray());
        await new LoadClient(new() { Login = Pipeline.SubmissionLogin("ann") }, ledgers.Sent).SendAsync([message], Cancellation);
        await Pipeline.DrainAsync(Limit, Cancellation);
        await new Pop3Poller(Pipeline.Maildrop("ann"), ledgers.Read) { DeleteWhen = _ => true }.PollAsync(Cancellation);
        Assert.Empty(LedgerChecker.Check(new() { Records = await ledgers.RecordsAsync(Cancellation) }));
    }

    private static string Token() => Guid.NewGuid().ToString("N")[..12];

    private Task SubmitAsync(LedgerMessage message) =>
        new LoadClient(new() { Login = Pipeline.SubmissionLogin("ann") }, Pipeline.Sent).SendAsync([message], Cancellation);

    private async Task<byte[]> ArrivalAsync(LedgerMessage message, Func<IReadOnlyList<byte[]>> read)
    {
        var mark = Encoding.ASCII.GetBytes($"{LedgerMessage.TokenHeader}: {message.Token}");
        // smtp-sink writes as it receives: a message is whole when nothing more is due and the file is.
        await Pipeline.DrainAsync(Limit, Cancellation);
        byte[]? found = null;
        await Eventually.TrueAsync(
            () => (found = read().FirstOrDefault(file => file.AsSpan().IndexOf(mark) >= 0)) is not null,
            Limit,
            () => fixture.Postfix.Log + Pipeline.Server.Process.Output,
            Cancellation);
        return found!;
    }
}
