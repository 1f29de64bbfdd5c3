using System.Net;
using System.Text;
using DnsClient;

namespace MailPipeline.Testing.Tests;

/// <summary>The servers from Debian's packages start, do what tests need of them, and end.</summary>
public sealed class ServerTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task PostgreSQL_starts_is_killed_and_starts_again_with_its_data()
    {
        await using var postgres = await PostgresServer.StartAsync(durable: true, Cancellation);
        await postgres.QueryAsync("CREATE TABLE t (n int); INSERT INTO t VALUES (42)", Cancellation);
        await postgres.KillAsync();
        await postgres.RestartAsync(Cancellation);
        Assert.Equal("42", await postgres.QueryAsync("SELECT n FROM t", Cancellation));
        Assert.Contains("Database=test_", await postgres.CreateDatabaseAsync(Cancellation));
    }

    [Fact]
    public async Task The_DNS_server_answers_for_the_names_it_was_given()
    {
        await using var dns = await DnsServer.StartAsync(
            """
            example.com. MX 10 mx1.example.com.
            example.com. MX 20 mx2.example.com.
            mx1.example.com. A 127.0.0.2
            null.example. MX 0 .
            """,
            Cancellation);
        var client = new LookupClient(new LookupClientOptions(dns.EndPoint) { UseCache = false });
        var answers = (await client.QueryAsync("example.com", QueryType.MX, cancellationToken: Cancellation)).Answers.MxRecords();
        Assert.Equal([(10, "mx1.example.com."), (20, "mx2.example.com.")], answers.Select(a => ((int)a.Preference, a.Exchange.Value)).Order());
        Assert.Equal(".", (await client.QueryAsync("null.example", QueryType.MX, cancellationToken: Cancellation)).Answers.MxRecords().Single().Exchange.Value);
        Assert.Equal(DnsHeaderResponseCode.NotExistentDomain, (await client.QueryAsync("nothing.example", QueryType.MX, cancellationToken: Cancellation)).Header.ResponseCode);
    }

    [Fact]
    public async Task The_silent_DNS_server_passes_on_only_the_names_it_is_told()
    {
        await using var dns = await DnsServer.StartAsync("healthy.example. MX 10 mx.healthy.example.", Cancellation);
        await using var silent = new SilentDnsServer(name => name == "healthy.example" ? dns.EndPoint : null);
        var client = new LookupClient(new LookupClientOptions(silent.EndPoint) { UseCache = false, Retries = 0, Timeout = TimeSpan.FromMilliseconds(300) });
        Assert.Single((await client.QueryAsync("healthy.example", QueryType.MX, cancellationToken: Cancellation)).Answers);
        await Assert.ThrowsAsync<DnsResponseException>(() => client.QueryAsync("dead.example", QueryType.MX, cancellationToken: Cancellation));
    }

    [Fact]
    public async Task Postfix_keeps_mail_for_its_domain_and_relays_the_rest()
    {
        await using var far = await PostfixServer.StartAsync(new() { Domains = ["far.example"] }, Cancellation);
        await using var near = await PostfixServer.StartAsync(new() { RelayHost = far.EndPoint }, Cancellation);
        var message = LedgerMessage.Create("t", "sender@example.org", 1, 5000, new ExpectedRecipient("user@far.example"));

        using var folder = new TempFolder("kit");
        await File.WriteAllBytesAsync(folder["message"], message.ToArray(), Cancellation);

        await near.SendAsync(message.Sender, ["user@far.example"], folder["message"], Cancellation);
        await Eventually.TrueAsync(() => far.ReadMaildir().Count > 0, TimeSpan.FromSeconds(20), () => near.Log + far.Log, Cancellation);

        // A Maildir has bare LF as line ends.
        var kept = Encoding.ASCII.GetString(Assert.Single(far.ReadMaildir()));
        Assert.EndsWith(Encoding.ASCII.GetString(message.ToArray()).ReplaceLineEndings("\n"), kept);
    }

    [Fact]
    public async Task Smtp_sink_takes_mail_and_keeps_it()
    {
        using var folder = new TempFolder("kit");
        await using var ledger = new LedgerFile(folder["sent"]);
        await using var sink = await SmtpSink.StartAsync(cancellation: Cancellation);
        var message = LedgerMessage.Create("t", "sender@example.org", 1, 5000, new ExpectedRecipient("user@example.com"));
        await new LoadClient(new() { Login = new(sink.EndPoint) }, ledger).SendAsync([message], Cancellation);
        Assert.Contains("X-Ledger-Token: t", Encoding.ASCII.GetString(Assert.Single(sink.ReadMessages())));
    }

    [Fact]
    public async Task Syncs_of_a_running_process_fail_while_the_fault_is_attached()
    {
        using var folder = new TempFolder("kit");
        await using var writer = ServerProcess.Start(
            DebianProgram.Find("python3", "python3"),
            [
                "-c",
                """
                import os, sys, time
                file = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
                while True:
                    try:
                        os.fsync(file)
                        print("synced", flush=True)
                    except OSError as error:
                        print("failed", error.errno, flush=True)
                    time.sleep(0.01)
                """,
                folder["file"],
            ]);
        await Eventually.TrueAsync(() => writer.Output.Contains("synced", StringComparison.Ordinal), TimeSpan.FromSeconds(10), cancellation: Cancellation);
        await using (var fault = await FailingSync.AttachAsync(writer.Id, Cancellation))
        {
            await Eventually.TrueAsync(() => writer.Output.EndsWith("failed 5", StringComparison.Ordinal), TimeSpan.FromSeconds(10), cancellation: Cancellation);
            Assert.True(fault.Injected > 0);
        }
        await Eventually.TrueAsync(() => writer.Output.EndsWith("synced", StringComparison.Ordinal), TimeSpan.FromSeconds(10), cancellation: Cancellation);
    }

    [Fact]
    public async Task A_broker_keeps_its_queues_over_a_kill_and_blocks_publishers_under_an_alarm()
    {
        await using var rabbit = await RabbitMqServer.StartAsync(Cancellation);
        await rabbit.CreateVirtualHostAsync("test", cancellation: Cancellation);
        await rabbit.ControlAsync(["eval", """rabbit_amqqueue:declare({resource, <<"test">>, queue, <<"q">>}, true, false, [], none, <<"test">>)."""], Cancellation);
        Assert.Equal(("q", 0L), Assert.Single(await rabbit.ListQueuesAsync("test", Cancellation)) is var before ? (before.Name, before.Ready) : default);
        await rabbit.SetMemoryAlarmAsync(on: true, Cancellation);
        await Eventually.TrueAsync(
            async () => (await rabbit.ControlAsync(["eval", "rabbit_alarm:get_alarms()."], Cancellation)).Contains("memory", StringComparison.Ordinal),
            TimeSpan.FromSeconds(10), cancellation: Cancellation);
        await rabbit.KillAsync();
        await rabbit.RestartAsync(Cancellation);
        await Eventually.TrueAsync(
            async () => (await rabbit.ListQueuesAsync("test", Cancellation)).Count == 1, TimeSpan.FromSeconds(30), cancellation: Cancellation);
    }

    [Fact]
    public async Task A_redis_server_keeps_its_data_over_a_stop()
    {
        await using var redis = await RedisServer.StartAsync(Cancellation);
        var client = DebianProgram.Find("redis-cli", "redis-tools");
        Task<string> AskAsync(params string[] command) =>
            ServerProcess.RunAsync(client, ["-p", $"{redis.Port}", .. command], cancellation: Cancellation);
        await AskAsync("SET", "key", "kept");
        await redis.StopAsync();
        await redis.RestartAsync(Cancellation);
        Assert.Equal("kept", (await AskAsync("GET", "key")).Trim());
    }

    [Fact]
    public async Task A_killed_postgres_server_starts_again_with_what_was_committed()
    {
        await using var postgres = await PostgresServer.StartAsync(durable: true, Cancellation);
        await postgres.QueryAsync("CREATE TABLE kept (id int)", Cancellation);
        await postgres.KillAsync();
        await postgres.RestartAsync(Cancellation);
        Assert.Equal("0", (await postgres.QueryAsync("SELECT COUNT(*) FROM kept", Cancellation)).Trim());
        await postgres.TerminateSessionsAsync(Cancellation);
    }

    [Fact]
    public async Task A_small_disk_is_filled_and_emptied()
    {
        using var disk = await SmallDisk.MountAsync(megabytes: 8, Cancellation);
        disk.Fill();
        Assert.Throws<IOException>(() => File.WriteAllBytes(Path.Combine(disk.FullPath, "file"), new byte[100_000]));
        disk.Empty();
        File.WriteAllBytes(Path.Combine(disk.FullPath, "file"), new byte[100_000]);
    }

    [Fact]
    public void A_missing_program_is_named_with_the_command_that_installs_it()
    {
        var error = Assert.Throws<FileNotFoundException>(() => DebianProgram.Find("no-such-program", "no-such-package"));
        Assert.Contains("apt-get install --no-install-recommends no-such-package", error.Message);
    }

    [Fact]
    public void Port_offsets_do_not_overlap()
    {
        var offsets = Enumerable.Range(0, 20).Select(_ => FreePorts.NextOffset()).ToList();
        Assert.Equal(offsets.Count, offsets.Distinct().Count());
        Assert.All(offsets, o => Assert.InRange(11111 + o, 1024, IPEndPoint.MaxPort));
    }
}
