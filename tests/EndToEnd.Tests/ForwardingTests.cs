using System.Net;
using System.Text.RegularExpressions;
using MailPipeline.Testing;
using Microsoft.Data.Sqlite;
using MimeKit;

namespace MailPipeline.EndToEnd.Tests;

/// <summary>
/// Mail on its whole way over three systems of ours, each a process in a network of its own with an address of its own: sender.example, whose user
/// submits it and which signs it; list.example, which judges it, changes its subject as lists do and forwards it; reader.example, which does what the
/// author's domain asks for (p=reject), and trusts the forwarder. And what fails behind the forwarder comes back to the user.
/// </summary>
public sealed partial class ForwardingTests(ForwardingTests.Fixture fixture) : IClassFixture<ForwardingTests.Fixture>
{
    private const string Ann = "ann@sender.example";
    private const string Carl = "carl@reader.example";
    private const string Password = "correct horse";

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public sealed class Fixture : IAsyncLifetime
    {
        private readonly TempFolder _folder = new("forwarding");
        private readonly List<IAsyncDisposable> _parts = [];

        internal StandaloneProcess Sender { get; private set; } = null!;

        internal StandaloneProcess List { get; private set; } = null!;

        internal StandaloneProcess Reader { get; private set; } = null!;

        /// <summary>Why there can be no such networks here; null where there are.</summary>
        internal string? Obstacle { get; private set; }

        internal string Output => string.Join("\n---\n", new[] { Sender, List, Reader }.Select(server => server.Process.Output));

        public async ValueTask InitializeAsync()
        {
            Obstacle = await NetworkNamespace.FindObstacleAsync();
            if (Obstacle is not null)
                return;
            var (sender, list, reader) = (Keep(await NetworkNamespace.CreateAsync()), Keep(await NetworkNamespace.CreateAsync()), Keep(await NetworkNamespace.CreateAsync()));
            var (senderAddress, listAtSender) = await sender.LinkAsync(list);
            var (listAddress, readerAddress) = await list.LinkAsync(reader);
            var rspamd = Keep(await RspamdServer.StartAsync(default));
            var filter = new IPEndPoint(list.Outside, FreePorts.Next());
            Keep(new TcpRelay(filter, rspamd.Milter));

            // What a process asks DNS by is known before its keys are, and these before the zone.
            var (senderKeys, listKeys) = (await MakeKeysAsync("sender"), await MakeKeysAsync("list"));
            var dns = Keep(await DnsServer.StartAsync(
                $"""
                sender.example. MX 10 mx.sender.example.
                mx.sender.example. A {senderAddress}
                sender.example. TXT "v=spf1 ip4:{senderAddress} -all"
                _dmarc.sender.example. TXT "v=DMARC1; p=reject"
                {senderKeys}
                list.example. MX 10 mx.list.example.
                mx.list.example. A {listAtSender}
                list.example. TXT "v=spf1 ip4:{listAddress} -all"
                {listKeys}
                srs.list.example. MX 10 mx.srs.list.example.
                mx.srs.list.example. A {listAddress}
                srs.list.example. TXT "v=spf1 ip4:{listAddress} -all"
                reader.example. MX 10 mx.reader.example.
                mx.reader.example. A {readerAddress}
                gone.example. MX 0 .
                """, [sender.Outside, list.Outside, reader.Outside]));

            Sender = Make("sender", sender, dns);
            List = Make(
                "list", list, dns,
                "--Ingress:Checks:Authentication:Policy=Enforce", "--Ingress:Checks:Signatures:Listeners=Mx",
                "--Srs:Domain=srs.list.example", $"--Srs:SecretFile={_folder.Write("secrets", "of the forwarder alone\n")}",
                "--Ingress:Filters:0:Name=rspamd", "--Ingress:Filters:0:Protocol=Milter", "--Ingress:Filters:0:ChangesHeaders=true", $"--Ingress:Filters:0:Address={filter}");
            Reader = Make(
                "reader", reader, dns,
                "--Ingress:Checks:Authentication:Policy=Enforce", "--Ingress:Checks:Authentication:Spf:Fail=Refuse",
                "--Ingress:Checks:Authentication:Dmarc:TrustedSealers:0=list.example");
            await AddAccountAsync(Sender, Ann);
            await Sender.AddAccountAsync("bob@sender.example", Password);
            await List.RunAsync(["domain", "add", "list.example"]);
            await List.RunAsync(["domain", "add", "srs.list.example", "--alias-of", "list.example"]);
            await AddAccountAsync(Reader, Carl);
            await List.AddAccountAsync("dave@list.example", Password);
            await List.RunAsync(["alias", "add", "info@list.example", Carl]);
            await List.RunAsync(["alias", "add", "info@list.example", "dave@list.example"]);
            await List.RunAsync(["alias", "add", "old@list.example", "lost@reader.example"]);
            await List.RunAsync(["alias", "add", "direct@list.example", "nobody@reader.example"]);
            await Reader.RunAsync(["alias", "add", "lost@reader.example", "x@gone.example"]);
            foreach (var server in new[] { Sender, List, Reader })
                await server.StartAsync();
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var part in Enumerable.Reverse(_parts))
                await part.DisposeAsync();
            _folder.Dispose();
        }

        private T Keep<T>(T part)
            where T : IAsyncDisposable
        {
            _parts.Add(part);
            return part;
        }

        /// <summary>Its records, as they are to be published.</summary>
        private async Task<string> MakeKeysAsync(string name)
        {
            await using var program = new StandaloneProcess(_folder.CreateFolder(name));
            var said = await program.RunAsync(["dkim", "create", $"{name}.example"]);
            return string.Join('\n', said.Split('\n').Where(line => line.Contains(" TXT ( ", StringComparison.Ordinal)));
        }

        private StandaloneProcess Make(string name, NetworkNamespace network, DnsServer dns, params string[] settings)
        {
            var (program, arguments) = network.Enter;
            return Keep(new StandaloneProcess(
                _folder[name],
                [
                    .. Pipeline.Impatient,
                    $"--Ingress:HostName=mx.{name}.example", $"--Dns:Servers:0={network.Outside}:{dns.EndPoint.Port}",
                    "--Ingress:Listeners:0:Address=0.0.0.0", "--Ingress:Listeners:0:Port=25", "--Ingress:Listeners:1:Address=0.0.0.0",
                    "--Mailbox:Listeners:0:Address=0.0.0.0", "--Logging:LogLevel:MailPipeline.Mailbox=Warning", $"--Http:Address={network.Inside}", .. settings,
                ])
            { Address = network.Inside, Wrapper = [program, .. arguments] });
        }

        private static async Task AddAccountAsync(StandaloneProcess server, string address)
        {
            await server.RunAsync(["domain", "add", address.Split('@')[1]]);
            await server.AddAccountAsync(address, Password);
        }
    }

    [Fact]
    public async Task A_message_that_a_list_has_changed_is_taken_for_its_seal_under_a_sender_of_the_list()
    {
        Assert.SkipWhen(fixture.Obstacle is not null, fixture.Obstacle ?? "");
        await SubmitAsync("info@list.example", "list hello");
        var message = await ArrivesAsync(fixture.Reader, Carl, "[changed] list hello");
        var returnPath = ReturnPath(message);
        Assert.Matches("^SRS0=[A-Z2-7]{8}=[A-Z2-7]{2}=sender\\.example=ann@srs\\.list\\.example$", returnPath);
        Assert.Equal("sender.example", message.From.Mailboxes.Single().Domain);

        // What the reader found: SPF of the list, the author's signature broken, the list's seal.
        var results = Unfolded(message.Headers["Authentication-Results"]);
        Assert.StartsWith("mx.reader.example;", results, StringComparison.Ordinal);
        Assert.Contains($"spf=pass smtp.mailfrom={returnPath}", results.Replace("\"", "", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Matches("dkim=pass header\\.d=list\\.example", results);
        Assert.Matches("dkim=fail header\\.d=sender\\.example", results);
        Assert.Contains("arc=pass (i=1 sealed by list.example)", results, StringComparison.Ordinal);
        Assert.Contains("dmarc=fail (p=reject override=trusted-sealer) header.from=sender.example", results, StringComparison.Ordinal);

        // What the list had found, before it changed anything.
        var sealing = Unfolded(message.Headers["ARC-Authentication-Results"]);
        Assert.StartsWith("i=1; mx.list.example;", sealing, StringComparison.Ordinal);
        Assert.Contains("spf=pass smtp.mailfrom=ann@sender.example", sealing, StringComparison.Ordinal);
        Assert.Matches("dkim=pass header\\.d=sender\\.example", sealing);
        Assert.Matches("dmarc=pass \\(p=reject\\) header\\.from=sender\\.example", sealing);

        // Who has his maildrop at the list reads it as from the author.
        var kept = await ArrivesAsync(fixture.List, "dave@list.example", "[changed] list hello");
        Assert.Equal(Ann, ReturnPath(kept));
        var timeline = await TimelineAsync(Ann);
        Assert.Contains($"routed to <{Carl}> (was <info@list.example>), by SMTP, as from <{returnPath}>", timeline, StringComparison.Ordinal);
        Assert.Contains("routed to <dave@list.example> (was <info@list.example>), a maildrop here\n", timeline.ReplaceLineEndings("\n"), StringComparison.Ordinal);
    }

    /// <summary>The reader's own report to the sender that it was given: by the list, to him who wrote it.</summary>
    [Fact]
    public async Task What_fails_behind_the_list_is_reported_to_the_author_by_way_of_the_list()
    {
        Assert.SkipWhen(fixture.Obstacle is not null, fixture.Obstacle ?? "");
        await SubmitAsync("old@list.example", "list to nobody");
        var report = await ReportAsync("x@gone.example");
        Assert.Contains("mx.reader.example", Status(report, 0)["Reporting-MTA"], StringComparison.Ordinal);
        var returnPath = await QueryAsync(fixture.Reader, "SELECT sender FROM messages WHERE sender LIKE 'SRS0=%ann@srs.list.example' ORDER BY id LIMIT 1");
        Assert.Contains("Received: from mx.list.example", report.ToString(), StringComparison.Ordinal);
        Assert.Contains(
            $"routed to <{Ann}> (was <{returnPath}>), by SMTP\n", (await TimelineAsync("", returnPath)).ReplaceLineEndings("\n"), StringComparison.Ordinal);
    }

    /// <summary>The reader refuses at the door: it is the list that tells the author, whose address it knows.</summary>
    [Fact]
    public async Task What_is_refused_to_the_list_is_reported_to_the_author_by_the_list_itself()
    {
        Assert.SkipWhen(fixture.Obstacle is not null, fixture.Obstacle ?? "");
        await SubmitAsync("direct@list.example", "list to nobody at all");
        var report = await ReportAsync("nobody@reader.example");
        Assert.Contains("mx.list.example", Status(report, 0)["Reporting-MTA"], StringComparison.Ordinal);
        Assert.Equal("rfc822; direct@list.example", Status(report, 1)["Original-Recipient"]);
        Assert.Contains("550 5.1.1", Status(report, 1)["Diagnostic-Code"], StringComparison.Ordinal);
    }

    private async Task SubmitAsync(string recipient, string subject)
    {
        var server = fixture.Sender.Submission;
        await ServerProcess.RunAsync(
            DebianProgram.Find("swaks", "swaks"),
            [
                "--server", $"{server.Address}", "--port", $"{server.Port}", "-tls", "--auth", "PLAIN", "--auth-user", Ann, "--auth-password", Password,
                "--from", Ann, "--to", recipient, "--header", $"Subject: {subject}", "--body", "How are you?", "--hide-all", "--timeout", "60",
            ],
            cancellation: Cancellation);
    }

    private async Task<MimeMessage> ArrivesAsync(StandaloneProcess server, string address, string subject) =>
        await FindAsync(server, address, message => message.Subject == subject);

    private async Task<MimeMessage> ReportAsync(string recipient) => await FindAsync(
        fixture.Sender, Ann, message => message.Body is MultipartReport report
            && report.OfType<MessageDeliveryStatus>().Single().StatusGroups.Any(group => group["Final-Recipient"]?.EndsWith(recipient, StringComparison.Ordinal) == true));

    private async Task<MimeMessage> FindAsync(StandaloneProcess server, string address, Func<MimeMessage, bool> isMeant)
    {
        List<MimeMessage> read = [];
        MimeMessage? found = null;
        await Eventually.TrueAsync(
            TimeSpan.FromMilliseconds(200),
            async () =>
            {
                read = await ReadAsync(server, address);
                return (found = read.FirstOrDefault(isMeant)) is not null;
            },
            s_limit, () => $"It has not come to {address}:\n{fixture.Output}\nWhat has come:\n{string.Join("\n---\n", read)}", Cancellation);
        return found!;
    }

    private static async Task<List<MimeMessage>> ReadAsync(StandaloneProcess server, string address)
    {
        await using var client = await Pop3Client.OpenAsync(new Maildrop(address, Password, server.Pop3, StartTls: true).Login, Cancellation);
        var messages = new List<MimeMessage>();
        foreach (var (number, _) in await client.ListAsync(Cancellation))
        {
            await client.CommandAsync($"RETR {number}", Cancellation);
            var message = new MemoryStream();
            await foreach (var line in client.ReadLinesAsync(Cancellation))
            {
                message.Write(line.Span);
                message.Write("\r\n"u8);
            }

            message.Position = 0;
            messages.Add(await MimeMessage.LoadAsync(message, Cancellation));
        }

        await client.CommandAsync("QUIT", Cancellation);
        return messages;
    }

    /// <summary>What the forwarder's operator sees of the last message of a sender.</summary>
    private async Task<string> TimelineAsync(string sender, string original = "")
    {
        var id = await QueryAsync(
            fixture.List,
            $"SELECT printf('%X', m.id) FROM messages m JOIN recipients r ON (r.id >> 16) = m.id WHERE m.sender = '{sender}' AND ('{original}' = '' OR r.original = '{original}') ORDER BY m.id DESC LIMIT 1");
        return await fixture.List.RunAsync(["message", id], cancellation: Cancellation);
    }

    private static async Task<string> QueryAsync(StandaloneProcess server, string sql)
    {
        await using var connection = new SqliteConnection($"Data Source={Path.Combine(server.DataFolder, "mail.db")};Mode=ReadOnly;Pooling=False");
        await connection.OpenAsync(Cancellation);
        await using var command = connection.CreateCommand();
#pragma warning disable CA2100 // Written by the test.
        command.CommandText = sql;
#pragma warning restore CA2100
        return (string)(await command.ExecuteScalarAsync(Cancellation))!;
    }

    private static HeaderList Status(MimeMessage report, int group) =>
        ((MultipartReport)report.Body!).OfType<MessageDeliveryStatus>().Single().StatusGroups[group];

    private static string ReturnPath(MimeMessage message) => message.Headers["Return-Path"]!.Trim('<', '>');

    private static string Unfolded(string? value) => Space().Replace(value ?? "", " ").Trim();

    [GeneratedRegex("\\s+")]
    private static partial Regex Space();
}
