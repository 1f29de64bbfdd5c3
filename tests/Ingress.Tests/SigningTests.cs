using System.Net;
using System.Text;
using MailPipeline.Authentication;
using MailPipeline.Authentication.Dkim;
using MailPipeline.Dns;
using MailPipeline.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;

namespace MailPipeline.Ingress.Tests;

public sealed class SigningTests : IDisposable
{
    private readonly TempFolder _folder = new("dkim");
    private readonly KeyFolder _keys;

    public SigningTests() => _keys = new KeyFolder(_folder.FullPath);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task What_a_user_submits_is_signed_with_what_is_put_in_front_of_it()
    {
        var dns = new Published(_keys.Create("example.com", "r", DkimKeyKind.Rsa)!, _keys.Create("example.com", "e", DkimKeyKind.Ed25519)!);
        await using var host = await StartAsync(dns);
        // Date, Message-ID and From are put in, a blind copy is left out, and all of that is what is signed.
        var stored = await SubmitAsync(host, "Bcc: carl@example.net\r\nTo: bob@example.net\r\nSubject: x\r\n\r\ntext \r\n\r\n");
        Assert.StartsWith("DKIM-Signature: ", stored, StringComparison.Ordinal);
        Assert.Equal(["pass e ed25519-sha256", "pass r rsa-sha256"], await VerifyAsync(stored, dns));
        Assert.All(await VerifyAsync(stored.Replace("Message-ID: <", "Message-ID: <x", StringComparison.Ordinal), dns), result => Assert.StartsWith("fail", result, StringComparison.Ordinal));
        Assert.All(await VerifyAsync($"From: eve@example.com\r\n{stored}", dns), result => Assert.StartsWith("fail", result, StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_size_of_the_envelope_is_that_of_all_octets()
    {
        _keys.Create("example.com", "r", DkimKeyKind.Rsa);
        await using var host = await StartAsync(new Published());
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        await client.BeginAsync("ann@example.com");
        await client.SendAsync("From: ann@example.com\r\n\r\ntext\r\n.\r\n");
        await client.ExpectAsync("250");
        var hint = await host.NextHintAsync();
        Assert.Equal(hint.SizeBytes, (await host.ContentAsync(hint.MessageId)).Length);
    }

    [Fact]
    public async Task Mail_of_a_domain_without_keys_goes_unsigned_and_the_operator_is_told_once()
    {
        _keys.Create("example.org", "r", DkimKeyKind.Rsa);
        var log = new FakeLoggerProvider();
        await using var host = await StartAsync(new Published(), services => services.AddSingleton<ILoggerProvider>(log));
        for (var i = 0; i < 3; i++)
            Assert.DoesNotContain("DKIM-Signature", await SubmitAsync(host, "From: ann@example.com\r\n\r\ntext\r\n"), StringComparison.Ordinal);
        Assert.Single(log.Collector.GetSnapshot(), record => record.Message.StartsWith("Mail of example.com is not signed", StringComparison.Ordinal));
    }

    /// <summary>A signature is the domain's word for the author: where users may write as anybody, it is given for themselves alone.</summary>
    [Theory]
    [InlineData("From: ann@example.com", true)]
    [InlineData("From: Ann <ANN+news@example.com>", true)]
    [InlineData("From: sales@example.com, Ann\r\n <ann@example.com>", true)]
    [InlineData("From: anybody@example.org", true)]
    [InlineData("From: boss@example.com", false)]
    [InlineData("From: nobody@example.com", false)]
    [InlineData("From: ann@example.com, boss@example.com", false)]
    [InlineData("From: boss@example.com, ann@example.com", false)]
    [InlineData("From: ann@example.com\r\nFrom: boss@example.com", false)]
    [InlineData("From: ann@example.com <boss@example.com>", false)]
    [InlineData("From: eve@example.net", false)]
    public async Task A_user_who_may_write_as_anybody_is_signed_for_as_himself_alone(string from, bool isSigned)
    {
        _keys.Create("example.com", "r", DkimKeyKind.Rsa);
        _keys.Create("example.org", "r", DkimKeyKind.Rsa);
        await using var host = await StartAsync(new Published(), settings: ("Ingress:Checks:OwnSender:AllowForeign", "true"));
        await host.Directory.AddAccountAsync("boss@example.com", "hash");
        var stored = await SubmitAsync(host, $"{from}\r\nSubject: x\r\n\r\ntext\r\n");
        Assert.Equal(isSigned, stored.Contains("DKIM-Signature: ", StringComparison.Ordinal));
        Assert.Contains($"{from}\r\n", stored, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_listed_client_sends_is_signed_whoever_wrote_it()
    {
        _keys.Create("example.com", "r", DkimKeyKind.Rsa);
        await using var host = await StartAsync(new Published(), settings: ("Ingress:RelayClients:0", "127.0.0.0/8"));
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync("From: boss@example.com\r\n\r\ntext\r\n");
        Assert.Contains("DKIM-Signature: ", Encoding.Latin1.GetString(await host.ContentAsync((await host.NextHintAsync()).MessageId)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_strangers_send_is_not_signed()
    {
        _keys.Create("example.com", "r", DkimKeyKind.Rsa);
        await using var host = await StartAsync(new Published());
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync("From: ann@example.com\r\n\r\ntext\r\n");
        Assert.DoesNotContain("DKIM-Signature", Encoding.Latin1.GetString(await host.ContentAsync((await host.NextHintAsync()).MessageId)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_an_alias_leads_elsewhere_is_signed_and_sealed_by_the_domain_of_the_alias()
    {
        var dns = new Published(_keys.Create("example.com", "r", DkimKeyKind.Rsa)!);
        await using var host = await StartAsync(dns);
        await host.Directory.AddAliasAsync("away@example.com", "carl@example.net");
        await using var client = await Client.GreetedAsync(host.Mx);
        const string message = "From: x@example.net\r\nSubject: x\r\n\r\ntext\r\n";
        await client.MessageAsync(message, recipient: "away@example.com");
        var stored = Encoding.Latin1.GetString(await host.ContentAsync((await host.NextHintAsync()).MessageId));
        Assert.StartsWith("ARC-Seal: i=1;", stored, StringComparison.Ordinal);
        Assert.Equal(["pass r rsa-sha256"], await VerifyAsync(stored, dns));
        using var content = Read(stored);
        var chain = await content.VerifyArcAsync(dns, TimeProvider.System.GetUtcNow(), Deadline.Token);
        Assert.Equal((AuthenticationStatus.Pass, "example.com", 1), (chain.Status, chain.Sealer, chain.Sets));
        Assert.Contains("ARC-Authentication-Results: i=1; mx.example.com;", stored, StringComparison.Ordinal);

        // One that is delivered here is not: also where another recipient of it was led away before.
        await client.MessageAsync(message);
        Assert.DoesNotContain("ARC-Seal", Encoding.Latin1.GetString(await host.ContentAsync((await host.NextHintAsync()).MessageId)), StringComparison.Ordinal);

        // It comes back by another alias: the chain grows.
        await client.MessageAsync(stored, recipient: "away@example.com");
        var again = Encoding.Latin1.GetString(await host.ContentAsync((await host.NextHintAsync()).MessageId));
        using var twice = Read(again);
        var grown = await twice.VerifyArcAsync(dns, TimeProvider.System.GetUtcNow(), Deadline.Token);
        Assert.Equal((AuthenticationStatus.Pass, 2), (grown.Status, grown.Sets));
    }

    private Task<IngressHost> StartAsync(IDnsLookup dns, Action<IServiceCollection>? services = null, params (string Name, string Value)[] settings) => IngressHost.StartAsync(
        settings.Prepend(("Dkim:KeyFolder", _folder.FullPath)).Prepend(("Ingress:Checks:Signatures:Listeners", "Mx")).ToDictionary(),
        services: all =>
        {
            all.AddSingleton(dns);
            services?.Invoke(all);
        });

    private static async Task<string> SubmitAsync(IngressHost host, string message)
    {
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        await client.BeginAsync("ann@example.com");
        await client.SendAsync($"{message}.\r\n");
        await client.ExpectAsync("250");
        return Encoding.Latin1.GetString(await host.ContentAsync((await host.NextHintAsync()).MessageId));
    }

    private static SignedContent Read(string message)
    {
        var content = new SignedContent(new VerificationLimits());
        content.Take(Encoding.Latin1.GetBytes(message));
        content.End();
        return content;
    }

    private static async Task<List<string>> VerifyAsync(string message, IDnsLookup dns)
    {
        using var content = Read(message);
        var results = await content.VerifyAsync(dns, TimeProvider.System.GetUtcNow(), Deadline.Token);
        return [.. results.Select(result => $"{AuthenticationWords.Of(result.Status)} {result.Selector} {result.Algorithm}").Order(StringComparer.Ordinal)];
    }

    private sealed class Published(params DkimSigningKey[] keys) : IDnsLookup
    {
        public Task<DnsAnswer<TxtRecord>> TxtAsync(string name, CancellationToken cancellationToken) => Task.FromResult(
            keys.FirstOrDefault(key => key.RecordName == name) is { } found
                ? new DnsAnswer<TxtRecord>(DnsStatus.Found, [new TxtRecord(found.Record)], TimeSpan.FromMinutes(1))
                : new DnsAnswer<TxtRecord>(DnsStatus.NoSuchName, [], TimeSpan.FromMinutes(1)));

        public Task<DnsAnswer<string>> PtrAsync(IPAddress address, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<DnsAnswer<string>> AliasAsync(string name, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<DnsAnswer<MxRecord>> MxAsync(string name, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<DnsAnswer<IPAddress>> IPv4Async(string name, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<DnsAnswer<IPAddress>> IPv6Async(string name, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<DnsAnswer<TlsaRecord>> TlsaAsync(string name, CancellationToken cancellationToken) => throw new NotSupportedException();
    }
}
