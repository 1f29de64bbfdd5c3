using System.Net;
using System.Text;
using MailPipeline.Mail;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Ingress.Tests;

/// <summary>What the log says of a message and of a refusal: every line can be found by any of its keys.</summary>
public sealed class LogTests
{
    [Fact]
    public async Task An_accepted_message_is_found_by_each_of_its_recipients_and_by_who_sent_it()
    {
        await using var host = await StartAsync();
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        await client.SayAsync("MAIL FROM:<sales@example.com>", "250");
        await client.SayAsync("RCPT TO:<joe@example.net>", "250");
        await client.SayAsync("RCPT TO:<\"x> to=<eve\"@example.net>", "250");
        await client.SayAsync("DATA", "354");
        await client.SayAsync("x: y\r\n\r\n.", "250 2.0.0");

        var id = MessageIds.ToText((await host.NextHintAsync()).MessageId);
        Assert.Matches(
            $"""^message={id} status=accepted from=<sales@example\.com> to=<joe@example\.net> to=<"x\?\?to=\?eve"@example\.net> size=\d+ client=127\.0\.0\.1 user=ann@example\.com session=\S+$""",
            Assert.Single(Lines(host, 1001)));
    }

    [Fact]
    public async Task A_refusal_says_who_wanted_to_write_to_whom_and_what_he_was_told()
    {
        await using var host = await StartAsync();
        await using (var client = await Client.GreetedAsync(host.Mx))
        {
            await client.SayAsync("MAIL FROM:<bob@example.net> SIZE=999999999", "552");
            await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
            await client.SayAsync("RCPT TO:<nobody@example.com>", "550");
            await client.SayAsync("RCPT TO:<ann@example.com>", "250");
            await client.SayAsync("DATA", "354");
            await client.SayAsync("bare\nline feed\r\n.", "550 5.6.0");
            await client.SayAsync("NONSENSE", "500");
        }
        await using (var client = await Client.AuthenticatedAsync(host.Submission))
            await client.SayAsync("MAIL FROM:<eve@example.com>", "553");

        Assert.Collection(
            Lines(host, 1008).Select(line => line[(line.IndexOf("command=", StringComparison.Ordinal))..]),
            line => Assert.StartsWith("command=MAIL from=<bob@example.net> reply=552 5.3.4", line, StringComparison.Ordinal),
            line => Assert.Equal("command=RCPT from=<bob@example.net> to=<nobody@example.com> reply=550 5.1.1 No such user here", line),
            line => Assert.Equal("command=DATA from=<bob@example.net> to=<ann@example.com> reply=550 5.6.0 Message contains bare <CR> or <LF>", line),
            line => Assert.StartsWith("command=unknown reply=500 5.5.2", line, StringComparison.Ordinal),
            line => Assert.Equal("command=MAIL from=<eve@example.com> reply=553 5.7.1 Sender address not owned by the user", line));
        Assert.All(Lines(host, 1008), line => Assert.StartsWith("status=refused client=127.0.0.1 session=", line, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("MAIL FROM:<joe@@example.org>", "MAIL from=<joe@@example.org> reply=501 ")]
    [InlineData("MAIL FROM:joe@example.org SIZE=1", "MAIL from=<joe@example.org> reply=501 ")]
    [InlineData("MAIL FROM:<a b> to=<eve", "MAIL from=<a?b> reply=501 ")]
    [InlineData("MAIL <joe@example.org>", "MAIL from=<joe@example.org> reply=501 ")]
    [InlineData("MAIL FROM:", "MAIL reply=501 ")]
    [InlineData("MAIL", "MAIL reply=501 ")]
    [InlineData("RCPT TO:<joe@example..org>", "RCPT from=<s@example.net> to=<joe@example..org> reply=501 ")]
    [InlineData("RCPT TO:<joe\u0085@example..org", "RCPT from=<s@example.net> to=<joe?@example..org> reply=501 ")]
    [InlineData("RCPT", "RCPT from=<s@example.net> reply=501 ")]
    public async Task What_is_no_address_is_shown_as_it_was_given(string command, string line)
    {
        await using var host = await StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        if (command.StartsWith("RCPT", StringComparison.Ordinal))
            await client.SayAsync("MAIL FROM:<s@example.net>", "250");
        await client.SayAsync(command, "501");
        await client.SayAsync("NOOP", "250");

        Assert.Contains(" user=- command=" + line, Assert.Single(Lines(host, 1008)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_user_who_is_refused_is_found_by_his_name()
    {
        await using var host = await StartAsync();
        await using (var client = await Client.AuthenticatedAsync(host.Submission))
            await client.SayAsync("MAIL FROM:<eve@example.com>", "553");

        Assert.Contains(" user=ann@example.com command=MAIL from=<eve@example.com> reply=553 ", Assert.Single(Lines(host, 1008)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_is_refused_much_does_not_fill_the_log_and_is_counted()
    {
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var host = await StartAsync(time);
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        for (var i = 0; i < RefusalLog.MaxLines + 5; i++)
            await client.SayAsync($"RCPT TO:<nobody{i}@example.com>", "550");
        Assert.Equal(RefusalLog.MaxLines, Lines(host, 1008).Count);

        time.Advance(RefusalLog.Window);
        await client.SayAsync("RCPT TO:<late@example.com>", "550");
        Assert.Equal("status=refused client=127.0.0.1 5 times more, not shown one by one", Assert.Single(Lines(host, 1009)));
        Assert.Contains("to=<late@example.com>", Lines(host, 1008)[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void Who_comes_from_many_addresses_does_not_fill_the_log_and_is_counted()
    {
        var time = new FakeTimeProvider();
        var log = new FakeLogger<RefusalLog>();
        using var refusals = new RefusalLog(Options.Create(new IngressOptions()), time, log);
        var eve = new byte[] { 10, 0, 0, 0 };
        for (var i = 0; i < RefusalLog.MaxLinesOfAll + 7; i++)
        {
            (eve[2], eve[3]) = ((byte)(i >> 8), (byte)i);
            refusals.WriteTurnedAway("test", new IPAddress(eve), "total", null);
        }
        Assert.Equal(RefusalLog.MaxLinesOfAll, log.Collector.Count);

        time.Advance(RefusalLog.Window);
        Assert.Equal("status=refused client=many 7 times more, not shown one by one", log.LatestRecord.Message);
        Assert.Equal(RefusalLog.MaxLinesOfAll + 1, log.Collector.Count);
    }

    [Fact]
    public async Task What_storage_refuses_fills_no_log()
    {
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var host = await StartAsync(time);
        await using (var connection = new SqliteConnection($"Data Source={host.DatabasePath}"))
        {
            await connection.OpenAsync(Deadline.Token);
            await using var command = connection.CreateCommand();
            command.CommandText = "ALTER TABLE messages RENAME COLUMN sender TO nobody";
            await command.ExecuteNonQueryAsync(Deadline.Token);
        }

        await using var client = await Client.GreetedAsync(host.Mx);
        for (var i = 0; i < SmtpServer.MaxFaultLines + 4; i++)
            await client.MessageAsync("x: y\r\n\r\nz", "451");
        Assert.Equal(SmtpServer.MaxFaultLines, Lines(host, 1002).Count);
        Assert.Empty(Lines(host, 1021));

        time.Advance(TimeSpan.FromSeconds(1));
        await client.MessageAsync("x: y\r\n\r\nz", "451");
        Assert.Equal("The fault of event 1002 came 4 times more, not shown one by one", Assert.Single(Lines(host, 1021)));
    }

    [Fact]
    public async Task Wrong_credentials_are_logged_with_their_name_and_counted_by_themselves()
    {
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var host = await StartAsync(time);
        // Who is refused other things first does not hide what it guesses.
        await using (var client = await Client.GreetedAsync(host.Mx))
        {
            await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
            for (var i = 0; i < RefusalLog.MaxLines + 2; i++)
                await client.SayAsync($"RCPT TO:<nobody{i}@example.com>", "550");
        }
        for (var i = 0; i <= RefusalLog.MaxLines; i++)
        {
            await using var client = await Client.GreetedAsync(host.Submission);
            await client.SayAsync("STARTTLS", "220");
            await client.StartTlsAsync();
            await client.SayAsync("EHLO x", "250");
            await client.SayAsync("AUTH PLAIN " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"\0eve smith{i}@example.com\0wrong password")), "535");
        }
        Assert.Equal(RefusalLog.MaxLines, Lines(host, 1008).Count);
        Assert.Equal(RefusalLog.MaxLines, Lines(host, 1007).Count);
        Assert.Matches(@"^status=refused client=127\.0\.0\.1 session=\S+ command=AUTH user=eve\?smith0@example\.com reply=535 5\.7\.8 .+$", Lines(host, 1007)[0]);

        // Nobody comes again.
        time.Advance(RefusalLog.Window);
        Assert.Equal("status=refused client=127.0.0.1 2 times more, not shown one by one", Assert.Single(Lines(host, 1009)));
        Assert.Equal("status=refused client=127.0.0.1 command=AUTH 1 times more, not shown one by one", Assert.Single(Lines(host, 1010)));
    }

    [Fact]
    public async Task Who_has_too_many_sessions_is_in_the_log()
    {
        await using var host = await StartAsync(null, ("Ingress:MaxSessionsPerAddress", "1"));
        await using var first = await Client.GreetedAsync(host.Mx);
        await using (await Client.ConnectAsync(host.Mx, "421"))
            Assert.Matches(@"^status=refused client=127\.0\.0\.1 session=\S+ limit=address reply=421 4\.\S+ .+$", Assert.Single(Lines(host, 1005)));
    }

    private static Task<IngressHost> StartAsync(FakeTimeProvider? time = null, params (string Name, string Value)[] settings) => IngressHost.StartAsync(
        new Dictionary<string, string>(settings.Select(setting => KeyValuePair.Create(setting.Name, setting.Value))) { ["Ingress:AuthFailureDelay"] = "00:00:00" },
        time, services => services.AddFakeLogging());

    private static List<string> Lines(IngressHost host, int eventId) =>
        [.. host.Services.GetFakeLogCollector().GetSnapshot().Where(record => record.Id.Id == eventId).Select(record => record.Message)];
}
