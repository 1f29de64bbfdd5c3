using System.Text;
using MailPipeline.Testing;

namespace MailPipeline.EndToEnd.Tests;

/// <summary>Other people's POP3 clients read the corpus, byte for byte.</summary>
public sealed class RealReaderTests(RealReaderTests.Fixture fixture) : IClassFixture<RealReaderTests.Fixture>
{
    public sealed class Fixture : IAsyncLifetime
    {
        internal Pipeline Pipeline { get; } = new("readers");

        internal IReadOnlyList<LedgerMessage> Messages { get; private set; } = [];

        public async ValueTask InitializeAsync()
        {
            await Pipeline.StartAsync(["curl", "mpop", "poplib", "fetchmail"], ["--Mailbox:Listeners:0:AuthMechanisms=PLAIN SCRAM-SHA-256"], default);
            Messages = [.. Corpus.Names.Select(name => Corpus.Create(
                name, "corpus-" + name.Replace(' ', '-'), "you@example.net", [.. new[] { "curl", "mpop", "poplib", "fetchmail" }.Select(a => $"{a}@{Pipeline.LocalDomain}")]))];
            await Pipeline.SendAsync(Messages, default);
            await Pipeline.DrainAsync(TimeSpan.FromSeconds(60), default);
        }

        public ValueTask DisposeAsync() => Pipeline.DisposeAsync();
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private Pipeline Pipeline => fixture.Pipeline;

    private string Port => $"{Pipeline.Server.Pop3.Port}";

    [Fact]
    public async Task Curl_over_TLS()
    {
        var copies = new List<byte[]>();
        for (var number = 1; number <= fixture.Messages.Count; number++)
        {
            var file = Pipeline.Folder[$"curl-{number}"];
            await ServerProcess.RunAsync(
                DebianProgram.Find("curl", "curl"),
                ["-sS", "-k", "--ssl-reqd", "-u", $"curl@{Pipeline.LocalDomain}:{Pipeline.Password}", $"pop3://127.0.0.1:{Port}/{number}", "-o", file],
                cancellation: Cancellation);
            copies.Add(await File.ReadAllBytesAsync(file, Cancellation));
        }
        AssertAll(copies);
    }

    [Theory]
    [InlineData("user")]
    [InlineData("plain")]
    [InlineData("scram-sha-256")]
    public async Task Mpop_over_TLS(string auth)
    {
        var maildir = Pipeline.Folder.CreateFolder($"maildir-{auth}");
        foreach (var part in new[] { "new", "cur", "tmp" })
            Directory.CreateDirectory(Path.Combine(maildir, part));
        var configuration = Pipeline.Folder.WriteSecret($"mpoprc-{auth}", $"""
            account default
            host 127.0.0.1
            port {Port}
            user mpop@{Pipeline.LocalDomain}
            passwordeval printf '%s\n' '{Pipeline.Password}'
            auth {auth}
            tls on
            tls_starttls on
            tls_certcheck off
            received_header off
            uidls_file {Pipeline.Folder[$"uidls-{auth}"]}
            delivery maildir {maildir}

            """);
        await ServerProcess.RunAsync(DebianProgram.Find("mpop", "mpop"), ["-q", "-k", "-C", configuration], cancellation: Cancellation);
        AssertAll(Directory.GetFiles(Path.Combine(maildir, "new")).Select(file => Received.WithCrLf(File.ReadAllBytes(file))));
    }

    [Fact]
    public async Task Python_poplib()
    {
        var folder = Pipeline.Folder.CreateFolder("poplib");
        await ServerProcess.RunAsync(
            DebianProgram.Find("python3", "python3"),
            [
                "-c",
                """
                import poplib, sys
                port, user, password, folder = sys.argv[1:]
                pop = poplib.POP3("127.0.0.1", int(port))
                pop.user(user)
                pop.pass_(password)
                for number in range(1, pop.stat()[0] + 1):
                    _, lines, _ = pop.retr(number)
                    with open(f"{folder}/{number}", "wb") as file:
                        file.write(b"\r\n".join(lines) + b"\r\n")
                pop.quit()
                """,
                Port, $"poplib@{Pipeline.LocalDomain}", Pipeline.Password, folder,
            ],
            cancellation: Cancellation);
        AssertAll(Directory.GetFiles(folder).Select(File.ReadAllBytes));
    }

    [Fact]
    public async Task Fetchmail_reads_and_deletes()
    {
        var folder = Pipeline.Folder.CreateFolder("fetchmail");
        var configuration = Pipeline.Folder.WriteSecret("fetchmailrc", $"""
            set no bouncemail
            set invisible
            poll 127.0.0.1 service {Port} protocol pop3 uidl timeout 60
              user "fetchmail@{Pipeline.LocalDomain}" password "{Pipeline.Password}"
              sslproto "" no rewrite pass8bits fetchall no keep
              mda "/bin/sh -c 'cat > {folder}/$$'"

            """);
        await ServerProcess.RunAsync(
            DebianProgram.Find("fetchmail", "fetchmail"),
            ["-f", configuration, "-i", Pipeline.Folder["fetchids"], "--pidfile", Pipeline.Folder["fetchpid"]],
            environment: new Dictionary<string, string?> { ["HOME"] = folder },
            cancellation: Cancellation);
        AssertAll(Directory.GetFiles(folder).Where(file => Path.GetFileName(file).All(char.IsAsciiDigit)).Select(file => Received.WithCrLf(File.ReadAllBytes(file))));

        await using var client = await Pop3Client.OpenAsync(Pipeline.Maildrop("fetchmail").Login, Cancellation);
        Assert.Empty(await client.ListAsync(Cancellation));
    }

    private void AssertAll(IEnumerable<byte[]> copies)
    {
        var unmatched = copies.ToList();
        Assert.Equal(fixture.Messages.Count, unmatched.Count);
        foreach (var message in fixture.Messages)
        {
            var mark = Encoding.ASCII.GetBytes($"{LedgerMessage.TokenHeader}: {message.Token}\r\n");
            var copy = Assert.Single(unmatched, c => c.AsSpan().IndexOf(mark) >= 0);
            Received.AssertWhole(message, copy);
        }
    }
}
