using System.Net;
using System.Security.Cryptography;
using System.Text;
using MailPipeline.Dns;
using MailPipeline.Testing;
using Microsoft.Extensions.DependencyInjection;
using MimeKit;
using MimeKit.Cryptography;

namespace MailPipeline.Ingress.Tests;

public sealed class SignatureCheckTests
{
    private static readonly Dictionary<string, string> s_on = new()
    {
        ["Ingress:Checks:Signatures:Listeners"] = "Mx",
        ["Ingress:Checks:Signatures:MaxWait"] = "00:00:00.500",
    };

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Signatures_are_verified_over_what_was_received_while_it_streams(bool isChunked)
    {
        using var key = RSA.Create(2048);
        var dns = new Keys($"v=DKIM1; p={Convert.ToBase64String(key.ExportSubjectPublicKeyInfo())}");
        await using var host = await IngressHost.StartAsync(s_on, services: services => services.AddSingleton<IDnsLookup>(dns));
        var counted = host.Metric<long>("mailpipeline.ingress.signatures");
        // A field in our name is signed as well: the signature is of what was received, and not of what is kept of it.
        var signed = Signed(key, "Authentication-Results: mx.example.com; none\r\nFrom: x@example.net\r\n\r\n.dots\r\n..\r\ntext", "authentication-results");
        await using var client = await Client.GreetedAsync(host.Mx);
        if (isChunked)
        {
            await client.SayAsync("MAIL FROM:<x@example.net>", "250");
            await client.SayAsync("RCPT TO:<ann@example.com>", "250");
            await client.SendAsync($"BDAT 10\r\n{signed[..10]}BDAT {signed.Length - 10} LAST\r\n{signed[10..]}");
            await client.ExpectAsync("250");
            await client.ExpectAsync("250");
        }
        else
        {
            await client.MessageAsync(signed.Replace("\r\n.", "\r\n..", StringComparison.Ordinal));
        }

        await host.NextHintAsync();
        var found = counted.GetMeasurementSnapshot();
        Assert.Equal("pass", Assert.Single(found).Tags["result"]);
    }

    [Fact]
    public async Task A_name_server_that_never_answers_costs_no_more_than_the_bound_and_no_mail()
    {
        using var key = RSA.Create(2048);
        await using var host = await IngressHost.StartAsync(s_on, services: services => services.AddSingleton<IDnsLookup>(new Keys(null)));
        var counted = host.Metric<long>("mailpipeline.ingress.signatures");
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync(Signed(key, "From: x@example.net\r\n\r\ntext\r\n", "from"));
        Assert.Equal("temperror", Assert.Single(counted.GetMeasurementSnapshot()).Tags["result"]);
    }

    [Fact]
    public async Task A_thousand_signatures_are_counted_and_eight_are_judged()
    {
        await using var host = await IngressHost.StartAsync(s_on, services: services => services.AddSingleton<IDnsLookup>(new Keys("none")));
        var counted = host.Metric<long>("mailpipeline.ingress.signatures");
        await using var client = await Client.GreetedAsync(host.Mx);
        const string signature = "DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=x; h=from; bh=AAAA; b=AAAA\r\n";
        await client.MessageAsync(string.Concat(Enumerable.Repeat(signature, 1000)) + "From: x@example.net\r\n\r\ntext\r\n");
        var found = counted.GetMeasurementSnapshot();
        Assert.Equal(992, found.Single(measured => (string?)measured.Tags["result"] == "not_judged").Value);
        Assert.Equal(8, found.Count(measured => (string?)measured.Tags["result"] == "fail"));
    }

    [Fact]
    public async Task The_answer_for_a_message_that_is_given_up_serves_the_next()
    {
        var dns = new Keys(null);
        await using var host = await IngressHost.StartAsync(s_on, services: services => services.AddSingleton<IDnsLookup>(dns));
        var counted = host.Metric<long>("mailpipeline.ingress.signatures");
        const string message = "DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=x; h=from; bh=AAAA; b=AAAA\r\nFrom: x\r\n\r\ntext\r\n";
        await using (var client = await Client.GreetedAsync(host.Mx))
        {
            await client.BeginAsync();
            await client.SendAsync(message);
            // The question is put while the body is still to come.
            await Eventually.TrueAsync(() => dns.Asked == 1, TimeSpan.FromSeconds(20));
        }

        await host.NoSessionsAsync();
        Assert.Empty(counted.GetMeasurementSnapshot());
        dns.Publish("none");
        await using var next = await Client.GreetedAsync(host.Mx);
        await next.MessageAsync(message);
        Assert.Equal((1, "fail"), (dns.Asked, Assert.Single(counted.GetMeasurementSnapshot()).Tags["result"]));
    }

    [Fact]
    public async Task Where_it_is_off_nobody_is_asked()
    {
        var dns = new Keys(null);
        await using var host = await IngressHost.StartAsync(services: services => services.AddSingleton<IDnsLookup>(dns));
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync("DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=x; h=from; bh=AAAA; b=AAAA\r\nFrom: x\r\n\r\ntext\r\n");
        Assert.Equal(0, dns.Asked);
    }

    [Theory]
    [InlineData("Checks:Signatures:MaxSignatures", "0", "1 to 100")]
    [InlineData("Checks:Signatures:MaxWait", "00:10:00", "5 min")]
    [InlineData("AuthservId", "no name", "domain name")]
    public async Task A_bad_setting_stops_the_start(string setting, string value, string allowed)
    {
        var error = await Assert.ThrowsAnyAsync<Exception>(() => IngressHost.StartAsync(new Dictionary<string, string> { [$"Ingress:{setting}"] = value }));
        Assert.Contains($"Ingress:{setting} is ", error.Message, StringComparison.Ordinal);
        Assert.Contains(allowed, error.Message, StringComparison.Ordinal);
    }

    private static string Signed(RSA key, string message, string further)
    {
        using var stream = new MemoryStream(Encoding.Latin1.GetBytes(message));
        var parsed = MimeMessage.Load(stream);
        using var pem = new MemoryStream(Encoding.ASCII.GetBytes(key.ExportRSAPrivateKeyPem()));
        var signer = new DkimSigner(pem, "example.net", "sel", DkimSignatureAlgorithm.RsaSha256)
        {
            HeaderCanonicalizationAlgorithm = DkimCanonicalizationAlgorithm.Relaxed, BodyCanonicalizationAlgorithm = DkimCanonicalizationAlgorithm.Simple,
        };
        signer.Sign(parsed, further == "from" ? ["from"] : ["from", further]);
        return $"DKIM-Signature: {parsed.Headers[HeaderId.DkimSignature]!.Replace("\n", "\r\n", StringComparison.Ordinal).Replace("\r\r\n", "\r\n", StringComparison.Ordinal).Trim()}\r\n{message}";
    }

    /// <summary>One key for all names; null: never an answer.</summary>
    /// <param name="record">What is published at every name; null: no answer comes until it is published.</param>
    private sealed class Keys(string? record) : IDnsLookup
    {
        private readonly TaskCompletionSource<string> _published = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _asked;

        public int Asked => Volatile.Read(ref _asked);

        public void Publish(string text) => _published.SetResult(text);

        public async Task<DnsAnswer<TxtRecord>> TxtAsync(string name, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _asked);
            var text = record ?? await _published.Task.WaitAsync(cancellationToken);
            return new(DnsStatus.Found, [new TxtRecord(text)], TimeSpan.FromMinutes(1));
        }

        public Task<DnsAnswer<MxRecord>> MxAsync(string name, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<DnsAnswer<IPAddress>> IPv4Async(string name, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<DnsAnswer<IPAddress>> IPv6Async(string name, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<DnsAnswer<TlsaRecord>> TlsaAsync(string name, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<DnsAnswer<string>> PtrAsync(IPAddress address, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<DnsAnswer<string>> AliasAsync(string name, CancellationToken cancellationToken) => throw new NotSupportedException();
    }
}
