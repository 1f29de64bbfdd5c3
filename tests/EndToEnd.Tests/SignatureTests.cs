using System.Security.Cryptography;
using System.Text;
using MailPipeline.Testing;
using MimeKit;
using MimeKit.Cryptography;
using Org.BouncyCastle.Crypto;
using Org.BouncyCastle.Crypto.Parameters;
using Org.BouncyCastle.OpenSsl;

namespace MailPipeline.EndToEnd.Tests;

/// <summary>What our submission signs is handed on by Postfix, by Exim and by a relay of ours, and both of its signatures still hold, as MimeKit says.</summary>
public sealed class SignatureTests(SignatureTests.Fixture fixture) : IClassFixture<SignatureTests.Fixture>
{
    public sealed class Fixture : IAsyncLifetime
    {
        private readonly List<IAsyncDisposable> _parts = [];

        internal Pipeline Pipeline { get; } = new("signed");

        internal SmtpSink Sink { get; private set; } = null!;

        /// <summary>In PEM, by selector.</summary>
        internal Dictionary<string, string> Keys { get; } = [];

        public async ValueTask InitializeAsync()
        {
            _parts.Add(Pipeline);
            Sink = await SmtpSink.StartAsync();
            _parts.Add(Sink);
            var relay = new StandaloneProcess(
                Pipeline.Folder.CreateFolder("relay"), [.. Pipeline.Impatient, "--Ingress:RelayClients:0=127.0.0.0/8", $"--Delivery:Routes:far.example={Sink.EndPoint}"]);
            _parts.Add(relay);
            await relay.StartAsync();
            var exim = await EximServer.StartAsync(new() { Domains = ["exim.example"], RelayHost = relay.Smtp, Port = FreePorts.Next() });
            _parts.Add(exim);
            var postfix = await PostfixServer.StartAsync(new() { Domains = ["postfix.example"], RelayHost = exim.EndPoint, Port = FreePorts.Next() });
            _parts.Add(postfix);

            var data = Pipeline.Folder.CreateFolder("data");
            await using (var program = new StandaloneProcess(data))
                await program.RunAsync(["dkim", "create", Pipeline.LocalDomain]);
            foreach (var file in Directory.GetFiles(Path.Combine(data, "dkim"), "*.pem", SearchOption.AllDirectories))
                Keys.Add(Path.GetFileNameWithoutExtension(file), await File.ReadAllTextAsync(file));
            await Pipeline.StartAsync(["ann"], [.. Pipeline.Impatient, $"--Delivery:Routes:far.example={postfix.EndPoint}"], default, data);
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var part in Enumerable.Reverse(_parts))
                await part.DisposeAsync();
        }
    }

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("plain")]
    [InlineData("empty body")]
    [InlineData("eight bit")]
    [InlineData("dots")]
    [InlineData("nested multiparts")]
    public async Task Our_signatures_hold_behind_Postfix_Exim_and_a_relay_of_ours(string name)
    {
        var message = Corpus.Create(name, Guid.NewGuid().ToString("N")[..12], $"ann@{Pipeline.LocalDomain}", "user@far.example");
        await new LoadClient(new() { Login = fixture.Pipeline.SubmissionLogin("ann") }, fixture.Pipeline.Sent).SendAsync([message], Cancellation);
        var mark = Encoding.ASCII.GetBytes($"{LedgerMessage.TokenHeader}: {message.Token}");
        byte[]? kept = null;
        await Eventually.TrueAsync(
            () => (kept = fixture.Sink.ReadMessages().FirstOrDefault(file => file.AsSpan().IndexOf(mark) >= 0 && file.AsSpan().EndsWith("\n\n"u8))) is not null, Limit, cancellation: Cancellation);
        // smtp-sink ends each of its files with an empty line.
        var copy = Received.WithCrLf(kept!)[..^2];
        Received.AssertWhole(message, copy);

        var read = await MimeMessage.LoadAsync(new MemoryStream(copy), Cancellation);
        var signatures = read.Headers.Where(field => field.Id == HeaderId.DkimSignature).ToList();
        Assert.Equal(2, signatures.Count);
        var verifier = new DkimVerifier(new KnownKeys(fixture.Keys));
        foreach (var signature in signatures)
            Assert.True(await verifier.VerifyAsync(FormatOptions.Default, read, signature, Cancellation), signature.Value);
    }

    /// <summary>The public halves of the keys that we made.</summary>
    private sealed class KnownKeys(Dictionary<string, string> keys) : IDkimPublicKeyLocator
    {
        public AsymmetricKeyParameter LocatePublicKey(string methods, string domain, string selector, CancellationToken cancellationToken = default)
        {
            Assert.Equal(Pipeline.LocalDomain, domain);
            using var reader = new StringReader(keys[selector]);
            return new PemReader(reader).ReadObject() switch
            {
                Ed25519PrivateKeyParameters key => key.GeneratePublicKey(),
                RsaPrivateCrtKeyParameters key => new RsaKeyParameters(isPrivate: false, key.Modulus, key.PublicExponent),
                AsymmetricCipherKeyPair pair => pair.Public,
                var other => throw new CryptographicException($"{other} is no key"),
            };
        }

        public Task<AsymmetricKeyParameter> LocatePublicKeyAsync(string methods, string domain, string selector, CancellationToken cancellationToken = default) =>
            Task.FromResult(LocatePublicKey(methods, domain, selector, cancellationToken));
    }
}
