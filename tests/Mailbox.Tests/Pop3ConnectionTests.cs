using System.Net;
using System.Text;
using MailPipeline.Mailbox.Pop3;
using MailPipeline.Mailbox.Tests.Kit;
using MailPipeline.Storage;
using MailPipeline.Testing;

namespace MailPipeline.Mailbox.Tests;

/// <summary>What happens to connections: silence, slowness, disconnects, limits, a stop, storage that fails under way.</summary>
public sealed class Pop3ConnectionTests
{
    public static TheoryData<string> Dialogues => ["", "U", "USER ann@example.org\r\n", "USER ann@example.org\r\nPASS secret\r\n",
        "USER ann@example.org\r\nPASS secret\r\nDELE 1\r\n", "USER ann@example.org\r\nPASS secret\r\nDELE 1\r\nQUI",
        "USER ann@example.org\r\nPASS secret\r\nDELE 1\r\nRETR 2\r\n"];

    [Theory, MemberData(nameof(Dialogues))]
    public async Task A_client_that_vanishes_leaves_nothing_behind(string dialogue)
    {
        using var harness = Harness(bodyBytes: 500_000);
        var wire = harness.Connect();
        await wire.LineAsync();
        await wire.SendAsync(dialogue);
        await wire.DisconnectAsync();
        await wire.Served;
        Assert.Equal(2, harness.Maildrops.Uids.Length);
        Assert.False(harness.Maildrops.IsLocked(harness.AnnId));
    }

    [Fact]
    public async Task A_client_that_closes_its_side_after_QUIT_gets_all_answers()
    {
        using var harness = Harness(bodyBytes: 100);
        var wire = harness.Connect();
        await wire.SendAsync("USER ann@example.org\r\nPASS secret\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n");
        await wire.HalfCloseAsync();
        Assert.EndsWith("+OK message 1 deleted\r\n+OK bye\r\n", await wire.RestAsync(), StringComparison.Ordinal);
        Assert.Single(harness.Maildrops.Uids);
    }

    [Fact]
    public async Task Silence_ends_the_session_without_a_word_and_without_deleting()
    {
        using var harness = Harness(bodyBytes: 100);
        var wire = harness.Connect();
        await wire.LogInAsync();
        await wire.AskAsync("DELE 1");
        harness.Time.Advance(TimeSpan.FromMinutes(9));
        Assert.Equal("+OK", await wire.AskAsync("NOOP"));
        harness.Time.Advance(TimeSpan.FromMinutes(9));
        Assert.False(wire.Served.IsCompleted);
        // Octets are no command (RFC 1939 §3).
        await wire.SendAsync("NOO");
        await EndsAsync(wire, harness, TimeSpan.FromMinutes(1));
        Assert.Equal("", await wire.RestAsync());
        Assert.Equal(2, harness.Maildrops.Uids.Length);
    }

    [Fact]
    public async Task Before_the_login_a_minute_is_waited_and_five_in_all()
    {
        using var harness = Harness(bodyBytes: 100);
        var silent = harness.Connect();
        Assert.StartsWith("+OK", await silent.AskAsync("CAPA"), StringComparison.Ordinal);
        var talkative = harness.Connect();
        await talkative.LineAsync();
        for (var i = 0; i < 5; i++)
        {
            Assert.StartsWith("-ERR", await talkative.AskAsync("XYZZY"), StringComparison.Ordinal);
            Assert.False(talkative.Served.IsCompleted);
            harness.Time.Advance(TimeSpan.FromSeconds(59));
        }
        await silent.Served.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        await EndsAsync(talkative, harness, TimeSpan.FromSeconds(5));
    }

    [Fact]
    public async Task While_few_places_are_left_a_login_has_a_minute_in_all()
    {
        using var harness = new Pop3Harness(options => options.MaxConnections = 2);
        var talkative = harness.Connect();
        await talkative.LineAsync();
        Assert.StartsWith("-ERR", await talkative.AskAsync("XYZZY"), StringComparison.Ordinal);
        var user = harness.Connect();
        await user.LogInAsync();
        var last = harness.Connect();
        await last.LineAsync();
        harness.Time.Advance(TimeSpan.FromSeconds(40));
        Assert.StartsWith("-ERR", await talkative.AskAsync("XYZZY"), StringComparison.Ordinal);
        Assert.False(talkative.Served.IsCompleted);
        await EndsAsync(talkative, harness, TimeSpan.FromSeconds(20));
        // Who has logged in has all his time.
        harness.Time.Advance(TimeSpan.FromMinutes(5));
        Assert.Equal("+OK", await user.AskAsync("NOOP"));
    }

    [Fact]
    public async Task A_client_that_reads_nothing_holds_up_the_reading_of_its_message_and_is_dropped()
    {
        using var harness = Harness(bodyBytes: 5_000_000);
        var wire = harness.Connect();
        await wire.LogInAsync();
        await wire.SendAsync("RETR 1\r\n");
        var read = await wire.FromServer.ReadAsync(TestContext.Current.CancellationToken);
        while (read.Buffer.Length < 64 * 1024)
        {
            wire.FromServer.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            read = await wire.FromServer.ReadAsync(TestContext.Current.CancellationToken);
        }
        // 64 KB in the pipe and less than one flush behind it, out of 5 MB; and what was looked at before, which holds up nobody any more.
        Assert.InRange(harness.Maildrops.ChunksRead, 64, 2 * 64 * 1024 / 1000 + 20);
        wire.FromServer.AdvanceTo(read.Buffer.Start);
        await EndsAsync(wire, harness, TimeSpan.FromMinutes(10));
        Assert.False(harness.Maildrops.IsLocked(harness.AnnId));
    }

    [Fact]
    public async Task A_client_is_logged_by_its_own_address_whatever_socket_it_came_through()
    {
        using var harness = new Pop3Harness(options => options.LoginFailureDelay = TimeSpan.Zero);
        var wire = harness.Connect(address: "::ffff:127.0.0.1");
        await wire.LineAsync();
        await wire.AskAsync("USER ann@example.org");
        Assert.StartsWith("-ERR [AUTH]", await wire.AskAsync("PASS wrong"), StringComparison.Ordinal);
        Assert.StartsWith("status=refused client=127.0.0.1 session=", harness.Log.GetSnapshot().Single(record => record.Id.Id == 4011).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_answer_to_a_wrong_password_is_held_back()
    {
        using var harness = new Pop3Harness(options => options.LoginFailureDelay = TimeSpan.FromSeconds(2));
        using var logins = harness.Measure("mailpipeline.mailbox.logins");
        var wire = harness.Connect();
        await wire.LineAsync();
        await wire.AskAsync("USER ann@example.org");
        await wire.SendAsync("PASS guess\r\n");
        await harness.Time.TimerStartedAsync(TimeSpan.FromSeconds(2));
        Assert.False(wire.FromServer.TryRead(out _));
        harness.Time.Advance(TimeSpan.FromSeconds(2));
        Assert.StartsWith("-ERR [AUTH]", await wire.LineAsync(), StringComparison.Ordinal);
        Assert.Equal("refused", logins.LastMeasurement?.Tags["result"]);
        Assert.Contains(harness.Log.GetSnapshot(), record => record.Id.Id == 4011);
        Assert.DoesNotContain(harness.Log.GetSnapshot(), record => record.Message.Contains("guess", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_message_that_cannot_be_read_is_a_temporary_failure_and_the_session_goes_on()
    {
        using var harness = Harness(bodyBytes: 100);
        var wire = harness.Connect();
        await wire.LogInAsync();
        harness.Maildrops.Faults["ReadAsync"] = StorageFault.Unavailable;
        Assert.Equal("-ERR [SYS/TEMP] the message cannot be read now", await wire.AskAsync("RETR 1"));
        harness.Maildrops.Faults.Clear();
        Assert.EndsWith(".\r\n", await wire.AskForLinesAsync("RETR 1"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_message_whose_content_is_gone_is_never_announced()
    {
        using var harness = Harness(bodyBytes: 5000);
        harness.Maildrops.ReadEndsAfter = 1000;
        var wire = harness.Connect();
        await wire.LogInAsync();
        Assert.Equal("-ERR [SYS/TEMP] the message cannot be read now", await wire.AskAsync("RETR 1"));
        harness.Maildrops.ReadEndsAfter = null;
        Assert.StartsWith("+OK", await wire.AskForLinesAsync("RETR 1"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_message_that_ends_early_never_looks_whole()
    {
        using var harness = Harness(bodyBytes: 5000);
        harness.Maildrops.ReadEndsAfter = 3000;
        var wire = harness.Connect();
        await wire.LogInAsync();
        await wire.SendAsync("RETR 1\r\n");
        Assert.DoesNotContain("\r\n.\r\n", await wire.RestAsync(), StringComparison.Ordinal);
        await wire.Served;
        Assert.Contains(harness.Log.GetSnapshot(), record => record.Id.Id == 4022);
    }

    [Fact]
    public async Task A_message_that_breaks_off_ends_the_connection_and_never_looks_whole()
    {
        using var harness = Harness(bodyBytes: 5000);
        var wire = harness.Connect();
        await wire.LogInAsync();
        harness.Maildrops.ReadBreaksAfter = 2000;
        await wire.SendAsync("RETR 1\r\n");
        var got = await wire.RestAsync();
        Assert.DoesNotContain("\r\n.\r\n", got, StringComparison.Ordinal);
        await wire.Served;
        Assert.Equal(2, harness.Maildrops.Uids.Length);
    }

    [Fact]
    public async Task A_stop_ends_waiting_sessions_and_lets_commands_finish()
    {
        using var harness = Harness(bodyBytes: 5_000_000);
        var waiting = harness.Connect();
        await waiting.LogInAsync();
        await waiting.AskAsync("DELE 1");
        waiting.RequestStop();
        Assert.Equal("", await waiting.RestAsync());
        await waiting.Served;
        Assert.Equal(2, harness.Maildrops.Uids.Length);

        var reading = harness.Connect();
        await reading.LogInAsync();
        await reading.SendAsync("RETR 1\r\n");
        Assert.StartsWith("+OK", await reading.LineAsync(), StringComparison.Ordinal);
        reading.RequestStop();
        Assert.EndsWith("\r\n.\r\n", await reading.RestAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_stop_begins_no_command_that_waits_behind_the_one_under_way()
    {
        using var harness = Harness(bodyBytes: 1_000_000);
        var wire = harness.Connect();
        await wire.LogInAsync();
        await wire.SendAsync("RETR 1\r\nRETR 2\r\nDELE 1\r\nQUIT\r\n");
        Assert.StartsWith("+OK", await wire.LineAsync(), StringComparison.Ordinal);
        wire.RequestStop();
        var rest = await wire.RestAsync();
        Assert.EndsWith("\r\n.\r\n", rest, StringComparison.Ordinal);
        Assert.DoesNotContain("+OK", rest, StringComparison.Ordinal);
        await wire.Served;
        Assert.Equal(2, harness.Maildrops.Uids.Length);
    }

    [Fact]
    public async Task Connections_over_a_limit_are_refused_and_counted()
    {
        using var harness = new Pop3Harness(options => (options.MaxConnections, options.MaxConnectionsPerAddress) = (3, 2));
        using var refused = harness.Measure("mailpipeline.mailbox.connections.refused");
        var first = harness.Connect(address: "192.0.2.1");
        var second = harness.Connect(address: "192.0.2.1");
        await first.LineAsync();
        await second.LineAsync();
        Assert.Equal("-ERR [SYS/TEMP] too many connections\r\n", await harness.Connect(address: "::ffff:192.0.2.1").RestAsync());
        await harness.Connect(address: "192.0.2.2").LineAsync();
        Assert.Equal("-ERR [SYS/TEMP] too many connections\r\n", await harness.Connect(address: "192.0.2.3").RestAsync());
        Assert.Equal(2, refused.GetMeasurementSnapshot().Sum(measurement => measurement.Value));

        await first.AskAsync("QUIT");
        await first.Served;
        Assert.StartsWith("+OK", await harness.Connect(address: "192.0.2.1").LineAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Each_listener_has_places_of_its_own_and_an_IPv6_network_is_one_client()
    {
        using var harness = new Pop3Harness(options => (options.MaxConnections, options.MaxConnectionsPerAddress) = (3, 2));
        await harness.Connect(address: "2001:db8::1").LineAsync();
        await harness.Connect(address: "2001:db8::2").LineAsync();
        Assert.Equal("-ERR [SYS/TEMP] too many connections\r\n", await harness.Connect(address: "2001:db8::3").RestAsync());
        await harness.Connect(address: "2001:db8:0:1::1").LineAsync();
        Assert.Equal("-ERR [SYS/TEMP] too many connections\r\n", await harness.Connect(address: "192.0.2.1").RestAsync());
        Assert.StartsWith("+OK", await harness.Connect(ListenerTls.None, "192.0.2.1").LineAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_has_logged_in_leaves_his_place_to_others()
    {
        using var harness = new Pop3Harness(options => (options.MaxConnections, options.MaxConnectionsLoggedIn) = (1, 1));
        harness.Maildrops.AddAccount("bob@example.org", "secret");
        var ann = harness.Connect();
        await ann.LogInAsync();
        var bob = harness.Connect();
        await bob.LineAsync();
        Assert.Equal("-ERR [SYS/TEMP] too many connections\r\n", await harness.Connect().RestAsync());
        await ann.AskAsync("QUIT");
        await ann.Served;
        Assert.Equal("-ERR [SYS/TEMP] too many connections\r\n", await harness.Connect().RestAsync());
        await bob.AskAsync("QUIT");
        await bob.Served;
        Assert.StartsWith("+OK", await harness.Connect().LineAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_is_refused_much_does_not_fill_the_log_and_is_counted()
    {
        using var harness = new Pop3Harness(options => options.MaxConnectionsPerAddress = 1);
        for (var i = 0; i < Pop3Refusals.MaxLines + 1; i++)
        {
            var wire = harness.Connect();
            await wire.LineAsync();
            await wire.AskAsync($"USER eve{i}@example.org");
            Assert.StartsWith("-ERR [AUTH]", await wire.AskAsync("PASS wrong"), StringComparison.Ordinal);
            await wire.AskAsync("QUIT");
            await wire.Served;
        }

        var one = harness.Connect();
        await one.LineAsync();
        for (var i = 0; i < Pop3Refusals.MaxLines + 7; i++)
            await harness.Connect().RestAsync();
        Assert.Equal(Pop3Refusals.MaxLines, Lines(4011).Count);
        Assert.Matches(
            @"^status=refused client=127\.0\.0\.1 session=\S+ command=PASS user=eve0@example\.org reply=-ERR \[AUTH\] user name or password is wrong$", Lines(4011)[0]);
        Assert.Equal(Pop3Refusals.MaxLines, Lines(4020).Count);
        Assert.Matches(
            @"^status=refused client=127\.0\.0\.1 session=\S+ listener=\S+ limit=address reply=-ERR \[SYS/TEMP\] too many connections$", Lines(4020)[0]);

        // Nobody has logged in for so long, which ends that connection; nobody comes again.
        await EndsAsync(one, harness, Pop3Refusals.Window);
        Assert.Equal("status=refused client=127.0.0.1 7 times more, not shown one by one", Assert.Single(Lines(4023)));
        Assert.Equal("status=refused client=127.0.0.1 command=PASS 1 times more, not shown one by one", Assert.Single(Lines(4025)));

        List<string> Lines(int eventId) =>
            [.. harness.Log.GetSnapshot().Where(record => record.Id.Id == eventId).Select(record => record.Message)];
    }

    [Fact]
    public void Who_comes_from_many_addresses_does_not_fill_the_log_and_is_counted()
    {
        using var harness = new Pop3Harness();
        var eve = new byte[] { 10, 0, 0, 0 };
        for (var i = 0; i < Pop3Refusals.MaxLinesOfAll + 7; i++)
        {
            (eve[2], eve[3]) = ((byte)(i >> 8), (byte)i);
            var client = new IPAddress(eve);
            harness.Server.Refusals.Login("test", client, "ann@example.org", Pop3Session.BadCredentials, null);
            harness.Server.Refusals.Connection("test", client, "pop3", "total", "-ERR");
        }
        Assert.Equal(Pop3Refusals.MaxLinesOfAll, Lines(4011).Count);
        Assert.Equal(Pop3Refusals.MaxLinesOfAll, Lines(4020).Count);

        harness.Time.Advance(Pop3Refusals.Window);
        Assert.Equal("status=refused client=many command=PASS 7 times more, not shown one by one", Assert.Single(Lines(4027)));
        Assert.Equal("status=refused client=many 7 times more, not shown one by one", Assert.Single(Lines(4026)));

        List<string> Lines(int eventId) =>
            [.. harness.Log.GetSnapshot().Where(record => record.Id.Id == eventId).Select(record => record.Message)];
    }

    [Fact]
    public async Task Loopback_clients_may_be_trusted_with_clear_text_and_others_not()
    {
        using var harness = new Pop3Harness(options => options.AllowCleartextLogin = CleartextLogin.Loopback);
        var near = harness.Connect(address: "127.0.0.1");
        var far = harness.Connect(address: "192.0.2.1");
        await near.LineAsync();
        await far.LineAsync();
        Assert.StartsWith("+OK", await near.AskAsync("USER ann@example.org"), StringComparison.Ordinal);
        Assert.StartsWith("-ERR", await far.AskAsync("USER ann@example.org"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_TLS_handshake_that_does_not_come_ends_the_connection()
    {
        using var harness = new Pop3Harness();
        using var failed = harness.Measure("mailpipeline.mailbox.handshakes.failed");
        var wire = harness.Connect(ListenerTls.Implicit);
        var began = harness.Time.GetUtcNow();
        await EndsAsync(wire, harness, TimeSpan.FromSeconds(1));
        Assert.True(harness.Time.GetUtcNow() - began >= harness.Options.TlsHandshakeTimeout, "It was ended too early.");
        Assert.Equal("", await wire.RestAsync());
        Assert.Equal(1, failed.LastMeasurement?.Value);
    }

    [Fact]
    public async Task Clear_text_where_a_TLS_handshake_is_due_ends_the_connection()
    {
        using var harness = new Pop3Harness();
        var wire = harness.Connect(ListenerTls.Implicit);
        await wire.SendAsync("USER ann@example.org\r\nPASS secret\r\n");
        Assert.DoesNotContain("+OK", await wire.RestAsync(), StringComparison.Ordinal);
        await wire.Served;
    }

    [Fact]
    public async Task STLS_is_refused_where_it_is_not_offered()
    {
        using var harness = new Pop3Harness();
        var wire = harness.Connect(ListenerTls.None);
        await wire.LineAsync();
        Assert.Equal("-ERR TLS is not offered here", await wire.AskAsync("STLS"));
        Assert.DoesNotContain("STLS", await wire.AskForLinesAsync("CAPA"), StringComparison.Ordinal);
    }

    private static Task EndsAsync(Pop3Wire wire, Pop3Harness harness, TimeSpan step) =>
        Eventually.EndsAsync(wire.Served, () => harness.Time.Advance(step), TestContext.Current.CancellationToken);

    private static Pop3Harness Harness(int bodyBytes)
    {
        var harness = new Pop3Harness();
        var body = new StringBuilder("Subject: big\r\n\r\n");
        while (body.Length < bodyBytes)
            body.Append("0123456789012345678901234567890123456789012345678\r\n");
        harness.Maildrops.AddMessage(harness.AnnId, body.ToString());
        harness.Maildrops.AddMessage(harness.AnnId, body.ToString());
        return harness;
    }
}
