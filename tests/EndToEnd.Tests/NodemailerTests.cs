using System.Text;
using MailPipeline.Testing;

namespace MailPipeline.EndToEnd.Tests;

/// <summary>What programs on Node.js submit by: nodemailer, installed into the test's folder.</summary>
public sealed class NodemailerTests(NodemailerTests.Fixture fixture) : IClassFixture<NodemailerTests.Fixture>
{
    private const string Package = "nodemailer@6.10.1";

    private const string Script =
        """
        const nodemailer = require('nodemailer');
        const fs = require('fs');
        const [port, method, user, pass, to, file, envid] = process.argv.slice(2);
        const tls = { clear: { ignoreTLS: true }, implicit: { secure: true } }[method] ?? { requireTLS: true, authMethod: method };
        const auth = method === 'clear' ? undefined : { user, pass };
        const transport = nodemailer.createTransport({ host: '127.0.0.1', port: Number(port), ...tls, tls: { rejectUnauthorized: false }, auth, logger: false });
        const message = { envelope: { from: user, to: [to] }, raw: fs.readFileSync(file) };
        if (envid)
          message.dsn = { id: envid, return: 'headers', notify: 'success', recipient: 'first@example.com' };
        transport.sendMail(message).then(
          sent => console.log(sent.response), error => { console.error(error); process.exit(1); });
        """;

    public sealed class Fixture : IAsyncLifetime
    {
        internal Pipeline Pipeline { get; } = new("nodemailer");

        public async ValueTask InitializeAsync()
        {
            await ServerProcess.RunAsync(
                DebianProgram.Find("npm", "npm"), ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", Pipeline.Folder.FullPath, Package],
                Pipeline.Folder.FullPath);
            Pipeline.Folder.Write("send.js", Script);
            await Pipeline.StartAsync(["ann", "bob"], [.. Pipeline.Impatient, .. Pipeline.WithSubmissions], default);
        }

        public ValueTask DisposeAsync() => Pipeline.DisposeAsync();
    }

    private const string Ann = $"ann@{Pipeline.LocalDomain}";
    private const string Bob = $"bob@{Pipeline.LocalDomain}";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private Pipeline Pipeline => fixture.Pipeline;

    [Theory]
    [InlineData("PLAIN", "plain")]
    [InlineData("LOGIN", "plain")]
    [InlineData("PLAIN", "dots")]
    [InlineData("PLAIN", "eight bit")]
    [InlineData("PLAIN", "long header")]
    public async Task It_submits_by_each_mechanism_and_the_message_arrives_whole(string method, string name)
    {
        var message = Corpus.Create(name, Guid.NewGuid().ToString("N")[..12], Ann, Bob);
        Assert.Contains("250 2.0.0 Ok: queued as", await SendAsync(method, message), StringComparison.Ordinal);
        Received.AssertWhole(message, await FindAsync("bob", copy => copy.AsSpan().IndexOf(Encoding.ASCII.GetBytes(message.Token)) >= 0));
    }

    [Theory]
    [InlineData("clear", " with ESMTP id ")]
    [InlineData("implicit", " with ESMTPSA id ")]
    public async Task It_speaks_in_clear_and_over_implicit_TLS(string method, string said)
    {
        var message = Corpus.Create("dots", Guid.NewGuid().ToString("N")[..12], Ann, Bob);
        await SendAsync(method, message);
        var copy = await FindAsync("bob", copy => copy.AsSpan().IndexOf(Encoding.ASCII.GetBytes(message.Token)) >= 0);
        Received.AssertWhole(message, copy);
        Assert.Contains(said, Encoding.Latin1.GetString(copy), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_wrong_password_is_refused()
    {
        var message = Corpus.Create("plain", "wrong", Ann, Bob);
        var refusal = await Assert.ThrowsAsync<InvalidOperationException>(() => SendAsync("PLAIN", message, password: "wrong"));
        Assert.Contains("535 5.7.8", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_asks_for_a_report_and_gets_it()
    {
        var message = Corpus.Create("plain", Guid.NewGuid().ToString("N")[..12], Ann, Bob);
        await SendAsync("PLAIN", message, envelopeId: "FromNode");
        var report = await FindAsync("ann", copy => copy.AsSpan().IndexOf("Original-Envelope-Id: FromNode"u8) >= 0);
        var recipient = Assert.Single(DsnReader.Read(report)!.Recipients);
        Assert.Equal(("first@example.com", "delivered"), (recipient.Address, recipient.Action));
    }

    private async Task<string> SendAsync(string method, LedgerMessage message, string password = Pipeline.Password, string envelopeId = "")
    {
        var file = Pipeline.Folder["message"];
        await File.WriteAllBytesAsync(file, message.ToArray(), Cancellation);
        return await ServerProcess.RunAsync(
            DebianProgram.Find("node", "nodejs"),
            [Pipeline.Folder["send.js"], $"{method switch { "clear" => Pipeline.Server.Smtp.Port, "implicit" => Pipeline.SubmissionsPort, _ => Pipeline.Server.Submission.Port }}", method, Ann, password, Bob, file, envelopeId],
            Pipeline.Folder.FullPath, cancellation: Cancellation);
    }

    private async Task<byte[]> FindAsync(string account, Func<byte[], bool> isWanted)
    {
        byte[]? found = null;
        await Eventually.TrueAsync(
            async () => (found = (await Pipeline.ReadMaildropAsync(account, Cancellation)).FirstOrDefault(isWanted)) is not null,
            TimeSpan.FromSeconds(30), () => Pipeline.Server.Process.Output, Cancellation);
        return found!;
    }
}
