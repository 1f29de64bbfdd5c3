using System.Text;
using MailPipeline.Testing;

namespace MailPipeline.EndToEnd.Tests;

/// <summary>
/// Exim hands in to us and takes what we send, in clear and without CHUNKING, and with TLS and BDAT; and both ways it is told of reports and of
/// UTF-8, and does what we ask for, as we do what it asks for.
/// </summary>
public sealed class EximTests(EximTests.Fixture fixture) : IClassFixture<EximTests.Fixture>
{
    public sealed class Fixture : IAsyncLifetime
    {
        internal Pipeline Pipeline { get; } = new("exim");

        internal EximServer Exim { get; private set; } = null!;

        internal EximServer Plain { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            var (port, plain) = (FreePorts.Next(), FreePorts.Next());
            await Pipeline.StartAsync(
                ["ann", "bob"], [.. Pipeline.Impatient, $"--Delivery:Routes:exim.example=127.0.0.1:{port}", $"--Delivery:Routes:plain.example=127.0.0.1:{plain}"], default);
            Exim = await EximServer.StartAsync(new() { Domains = ["exim.example"], RelayHost = Pipeline.Server.Smtp, Port = port });
            Plain = await EximServer.StartAsync(new() { Domains = ["plain.example"], RelayHost = Pipeline.Server.Smtp, Port = plain, IsPlain = true });
        }

        public async ValueTask DisposeAsync()
        {
            if (Plain is not null)
                await Plain.DisposeAsync();
            if (Exim is not null)
                await Exim.DisposeAsync();
            await Pipeline.DisposeAsync();
        }
    }

    private const string Ann = $"ann@{Pipeline.LocalDomain}";
    private const string Bob = $"bob@{Pipeline.LocalDomain}";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private Pipeline Pipeline => fixture.Pipeline;

    public static TheoryData<string, bool> Messages
    {
        get
        {
            var data = new TheoryData<string, bool>();
            foreach (var name in new[] { "plain", "empty body", "eight bit", "dots", "long header", "long lines", "nested multiparts" })
            {
                data.Add(name, false);
                data.Add(name, true);
            }

            return data;
        }
    }

    [Theory, MemberData(nameof(Messages))]
    public async Task Exim_hands_it_in(string name, bool isPlain)
    {
        var exim = isPlain ? fixture.Plain : fixture.Exim;
        var message = Corpus.Create(name, Token(), "you@example.net", Bob);
        await new LoadClient(new() { Login = new(exim.EndPoint) }, Pipeline.Sent).SendAsync([message], Cancellation);
        Received.AssertWhole(message, await FindAsync(message.Token, () => Pipeline.ReadMaildropAsync("bob", Cancellation), exim));
        AssertSpoken(isPlain, await LineAsync(exim, "=>", message.Token));
    }

    [Theory, MemberData(nameof(Messages))]
    public async Task Exim_takes_it(string name, bool isPlain)
    {
        var exim = isPlain ? fixture.Plain : fixture.Exim;
        var message = Corpus.Create(name, Token(), Ann, $"user@{(isPlain ? "plain" : "exim")}.example");
        await new LoadClient(new() { Login = Pipeline.SubmissionLogin("ann") }, Pipeline.Sent).SendAsync([message], Cancellation);
        Received.AssertWhole(message, Received.WithCrLf(await FindAsync(message.Token, () => Task.FromResult(exim.ReadMaildir()), exim)));
        AssertSpoken(isPlain, await LineAsync(exim, "<=", message.Token));
    }

    [Fact]
    public async Task A_message_of_several_chunks_arrives_whole()
    {
        var message = LedgerMessage.Create(Token(), Ann, seed: 7, 3_500_000, new ExpectedRecipient("user@exim.example"));
        await new LoadClient(new() { Login = Pipeline.SubmissionLogin("ann") }, Pipeline.Sent).SendAsync([message], Cancellation);
        Received.AssertWhole(message, Received.WithCrLf(await FindAsync(message.Token, () => Task.FromResult(fixture.Exim.ReadMaildir()), fixture.Exim)));
        AssertSpoken(isPlain: false, await LineAsync(fixture.Exim, "<=", message.Token));
    }

    [Fact]
    public async Task Addresses_in_UTF8_pass_both_ways()
    {
        var (there, back) = (Token(), Token());
        await SubmitAsync(await SmtpDialogue.OpenAsync(Pipeline.SubmissionLogin("ann"), Cancellation), $"<{Ann}> SMTPUTF8", "<žofie@exim.example>", there, "dobrý den");
        await FindAsync(there, () => Task.FromResult(fixture.Exim.ReadMaildir()), fixture.Exim);
        Assert.Contains(" P=utf8esmtps ", await LineAsync(fixture.Exim, "<=", there), StringComparison.Ordinal);

        await SubmitAsync(await SmtpDialogue.OpenAsync(new(fixture.Exim.EndPoint), Cancellation), "<žofie@exim.example> SMTPUTF8", $"<{Bob}>", back, "dobrý den");
        var copy = Encoding.UTF8.GetString(await FindAsync(back, () => Pipeline.ReadMaildropAsync("bob", Cancellation), fixture.Exim));
        Assert.Contains("Return-Path: <žofie@exim.example>\r\n", copy, StringComparison.Ordinal);
        Assert.Contains(" with UTF8SMTPS id ", copy, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Exim_takes_over_what_we_hand_on_and_reports_to_our_user()
    {
        var token = Token();
        await SubmitAsync(
            await SmtpDialogue.OpenAsync(Pipeline.SubmissionLogin("ann"), Cancellation), $"<{Ann}> RET=HDRS ENVID={token}", "<user@exim.example> NOTIFY=SUCCESS", token, "hello");
        var report = await ReportAsync(token, () => Pipeline.ReadMaildropAsync("ann", Cancellation));
        Assert.Equal("delivered", Assert.Single(report.Recipients).Action);
        // One, and not ours.
        Assert.Equal(0, Pipeline.Count($"SELECT COUNT(*) FROM reports r JOIN messages m ON m.id = r.message_id WHERE m.dsn LIKE '%{token}%'"));
    }

    [Fact]
    public async Task Exim_hands_on_what_its_user_asked_for_and_we_report_to_him()
    {
        var token = Token();
        await SubmitAsync(
            await SmtpDialogue.OpenAsync(new(fixture.Exim.EndPoint), Cancellation), $"<user@exim.example> RET=HDRS ENVID={token}", $"<{Bob}> NOTIFY=SUCCESS", token, "hello");
        var report = await ReportAsync(token, () => Task.FromResult(fixture.Exim.ReadMaildir()));
        var recipient = Assert.Single(report.Recipients);
        Assert.Equal((Bob, "delivered", "2.0.0"), (recipient.Address, recipient.Action, recipient.Status));
    }

    private static string Token() => Guid.NewGuid().ToString("N")[..12];

    private static async Task SubmitAsync(SmtpDialogue dialogue, string sender, string recipient, string token, string subject)
    {
        await using (dialogue)
        {
            await dialogue.ExpectAsync($"MAIL FROM:{sender}", 250, Cancellation);
            await dialogue.ExpectAsync($"RCPT TO:{recipient}", 250, Cancellation);
            await dialogue.ExpectAsync("DATA", 354, Cancellation);
            await dialogue.ExpectAsync($"From: <{Ann}>\r\nSubject: ledger {token} {subject}\r\n\r\nbody\r\n.", 250, Cancellation);
        }
    }

    /// <summary>Exim writes "X=" where there was TLS, and "K" where there was BDAT.</summary>
    private static void AssertSpoken(bool isPlain, string line)
    {
        Assert.Equal(!isPlain, line.Contains(" X=TLS", StringComparison.Ordinal));
        Assert.Equal(!isPlain, line.Contains(" K ", StringComparison.Ordinal));
    }

    /// <summary>The line of its log about this message, by the id that the line with its subject names.</summary>
    private static async Task<string> LineAsync(EximServer exim, string kind, string token)
    {
        var line = "";
        await Eventually.TrueAsync(
            () =>
            {
                var lines = exim.Log.Split('\n');
                var id = lines.FirstOrDefault(taken => taken.Contains(" <= ", StringComparison.Ordinal) && taken.Contains($"ledger {token}", StringComparison.Ordinal))?
                    .Split(' ').FirstOrDefault(word => word.Length == 16 && word[6] == '-');
                line = id is null ? "" : lines.FirstOrDefault(one => one.Contains($" {id} {kind} ", StringComparison.Ordinal)) ?? "";
                return line.Length > 0;
            },
            Limit, () => exim.Log, Cancellation);
        return line + " ";
    }

    private async Task<byte[]> FindAsync(string token, Func<Task<IReadOnlyList<byte[]>>> read, EximServer exim)
    {
        var mark = Encoding.ASCII.GetBytes($"ledger {token}");
        byte[]? found = null;
        await Eventually.TrueAsync(
            async () => (found = (await read()).FirstOrDefault(copy => copy.AsSpan().IndexOf(mark) >= 0)) is not null,
            Limit, () => exim.Log + Pipeline.Server.Process.Output, Cancellation);
        return found!;
    }

    /// <summary>The one notification about the message of this ENVID, when nothing is under way any more.</summary>
    private async Task<DsnReport> ReportAsync(string envelopeId, Func<Task<IReadOnlyList<byte[]>>> read)
    {
        // Exim writes "ID".
        var mark = $"\nOriginal-Envelope-Id: {envelopeId}";
        List<byte[]> found = [];
        await Eventually.TrueAsync(
            async () => (found = [.. (await read()).Where(copy => Encoding.UTF8.GetString(copy).Contains(mark, StringComparison.OrdinalIgnoreCase))]).Count > 0,
            Limit, () => fixture.Exim.Log + Pipeline.Server.Process.Output, Cancellation);
        await Pipeline.DrainAsync(Limit, Cancellation);
        return DsnReader.Read(Assert.Single(found))!;
    }
}
