using System.Net;
using System.Text;
using MailPipeline.Ingress.Checks;
using MailPipeline.Mail;
using MailPipeline.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Ingress.Tests;

/// <summary>Milters that do what they may, and milters that do not, as <see cref="FilterCheck"/> asks and obeys them.</summary>
public sealed class MilterTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_milter_is_told_of_each_step_and_sees_the_content_as_it_is_kept()
    {
        await using var milter = FakeMilter.Start();
        await using var host = await StartAsync(milter);
        await using (var client = await Client.GreetedAsync(host.Mx))
        {
            await client.MessageAsync("From: bob@example.net\r\nSubject: folded\r\n value\r\nEmpty:\r\n\r\n..one\r\ntwo");
            await client.SayAsync("MAIL FROM:<>", "250");
            await client.SayAsync("RSET", "250");
            await client.SayAsync("MAIL FROM:<carl@example.net>", "250");
            await client.SayAsync("QUIT", "221");
        }

        // It hears of the end behind the client.
        await Eventually.TrueAsync(() => milter.Told.Contains("Q"), TimeSpan.FromSeconds(20));
        var id = MessageIds.ToText((await host.NextHintAsync()).MessageId);
        var told = milter.Told.ToArray();
        Assert.StartsWith("D Cj|mx.example.com|{daemon_name}|mx|v|MailPipeline ", told[0], StringComparison.Ordinal);
        Assert.Contains("{client_addr}|127.0.0.1|", told[0], StringComparison.Ordinal);
        Assert.Matches("^C \\[127.0.0.1\\]\\|4..127.0.0.1\\|$", told[1].Replace('\n', 'n'));
        Assert.Equal(
            [
                "H client.example.net|", "D M{mail_addr}|bob@example.net|{mail_host}|example.net|{mail_mailer}|smtp|", "M <bob@example.net>|",
                "D R{rcpt_addr}|ann@example.com|{rcpt_host}|example.com|", "R <ann@example.com>|",
                $"D Ti|{id}|", "T", "L From|bob@example.net|", "L Subject|folded\n value|", "L Empty||", $"D Ni|{id}|", "N", "B .one\r\ntwo\r\n", $"D Ei|{id}|", "E",
                "M <>|", "A", "D M{mail_addr}|carl@example.net|{mail_host}|example.net|{mail_mailer}|smtp|", "M <carl@example.net>|", "Q",
            ],
            told[2..]);
    }

    [Fact]
    public async Task It_is_told_who_has_logged_in_how_and_under_which_TLS()
    {
        await using var milter = FakeMilter.Start();
        await using var host = await StartAsync(milter, new() { ["Ingress:Filters:0:Listeners"] = "All" });
        await using (var client = await Client.AuthenticatedAsync(host.Submission))
        {
            await client.SayAsync("MAIL FROM:<ann@example.com>", "250");
        }

        await using (var proxied = await Client.ConnectAsync(host.Mx))
        {
            await proxied.SayAsync("EHLO proxy.example.com", "250");
        }

        var told = milter.Told.ToArray();
        Assert.Contains(told, step => System.Text.RegularExpressions.Regex.IsMatch(step, @"^D H\{tls_version\}\|TLSv1\.[23]\|\{cipher\}\|TLS_[A-Z0-9_]+\|\{cipher_bits\}\|(128|256)\|$"));
        Assert.Contains("D M{auth_type}|PLAIN|{auth_authen}|ann@example.com|{mail_addr}|ann@example.com|{mail_host}|example.com|{mail_mailer}|smtp|", told);
        Assert.DoesNotContain(told, step => step.StartsWith("D H", StringComparison.Ordinal) && !step.Contains("tls_version", StringComparison.Ordinal));
    }

    [Fact]
    public async Task It_may_be_for_a_single_listener()
    {
        await using var milter = FakeMilter.Start();
        await using var host = await StartAsync(
            milter, new() { ["Ingress:Filters:0:Listeners"] = "inner", ["Ingress:Listeners:1:Name"] = "inner", ["Ingress:Listeners:1:Kind"] = "Mx" });
        foreach (var listener in (IPEndPoint[])[host.Mx, host.Submission])
        {
            await using var client = await Client.ConnectAsync(listener);
            await client.SayAsync("EHLO client.example.net", "250");
        }

        Assert.Contains("{daemon_name}|inner|", Assert.Single(milter.Told, step => step.StartsWith("D C", StringComparison.Ordinal)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData('C', "r", "554 5.7.1")]
    [InlineData('C', "t", "421 4.7.1")]
    [InlineData('H', "r", "550 5.7.1 EHLO")]
    [InlineData('M', "y550 5.1.8 No such sender|", "550 5.1.8 No such sender")]
    [InlineData('M', "t", "451 4.7.1")]
    [InlineData('R', "y451 4.7.1 Come back in 5 minutes|", "451 4.7.1 Come back in 5 minutes")]
    [InlineData('R', "r", "550 5.7.1")]
    [InlineData('T', "r", "550 5.7.1")]
    [InlineData('L', "t", "451 4.7.1")]
    [InlineData('N', "r", "550 5.7.1")]
    [InlineData('B', "y550-5.7.1 one\r\n550 5.7.1 two|", "550-5.7.1 one")]
    [InlineData('E', "r", "550 5.7.1")]
    [InlineData('E', "y421 4.3.0 Closing|", "451 4.3.0 Closing")]
    [InlineData('E', "4", "451 4.7.1")]
    public async Task What_a_milter_refuses_is_refused_at_its_step(char at, string answer, string reply)
    {
        await using var milter = FakeMilter.Start((step, _) => step == at ? [FakeMilter.Packet(answer[0], answer[1..].Replace('|', '\0'))] : [FakeMilter.Packet('c')]);
        await using var host = await StartAsync(milter);
        using var verdicts = host.Metric<long>("mailpipeline.ingress.check_verdicts");
        await using var client = await Client.OpenAsync(host.Mx);
        await SayAllAsync(client, at, reply);
        var said = Assert.Single(verdicts.GetMeasurementSnapshot());
        Assert.Equal(("filter", "reply", "fake"), (said.Tags["check"], said.Tags["verdict"], said.Tags["rule"]));
        Assert.False(host.HasHint);
    }

    [Theory]
    [InlineData("packets")]
    [InlineData("octets")]
    [InlineData("at once")]
    public async Task What_a_milter_changes_stands_in_front_or_in_the_envelope_and_bytes_stay(string come)
    {
        await using var milter = FakeMilter.Start((step, _) => In(come, step != 'E' ? [FakeMilter.Packet('c')] :
        [
            FakeMilter.Packet('p'),
            FakeMilter.Packet('h', "X-First\0one\0"),
            FakeMilter.Packet('h', "X-Second\0two\n\tfolded\0"),
            FakeMilter.Packet('i', 1, "X-Top\0top\0"),
            FakeMilter.Packet('m', 1, "Subject\0other\0"),
            FakeMilter.Packet('m', 1, "From\0\0"),
            FakeMilter.Packet('m', 1, "X-Spam\0Yes\0"),
            FakeMilter.Packet('+', "<sales@example.com>\0"),
            FakeMilter.Packet('2', "<any@example.org>\0NOTIFY=NEVER\0"),
            FakeMilter.Packet('-', "<ann@example.com>\0"),
            FakeMilter.Packet('q', "looks odd\0"),
            FakeMilter.Packet('c'),
        ]));
        await using var host = await StartAsync(milter);
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync("From: bob@example.net\r\nSubject: x\r\n\r\nhi");
        var message = await host.NextHintAsync();
        Assert.Equal(["sales@example.com", "any@example.org"], message.Recipients);
        Assert.Equal("filter fake: looks odd", message.HoldReason);
        var content = Encoding.Latin1.GetString(await host.ContentAsync(message.MessageId));
        Assert.StartsWith("X-Spam: Yes\r\nX-Top: top\r\nX-First: one\r\nX-Second: two\r\n\tfolded\r\nReceived: ", content, StringComparison.Ordinal);
        Assert.EndsWith("\r\nFrom: bob@example.net\r\nSubject: x\r\n\r\nhi\r\n", content, StringComparison.Ordinal);
    }

    private static IEnumerable<byte[]> In(string form, byte[][] packets) => form switch
    {
        "octets" => packets.SelectMany(packet => packet.Select(octet => (byte[])[octet])),
        "at once" => [[.. packets.SelectMany(packet => packet)]],
        _ => packets,
    };

    [Fact]
    public async Task Where_the_operator_lets_it_it_changes_and_removes_fields_and_nothing_else()
    {
        await using var milter = FakeMilter.Start((step, _) => step != 'E' ? [FakeMilter.Packet('c')] :
        [
            FakeMilter.Packet('m', 1, "subject\0other\n\tfolded\0"),
            FakeMilter.Packet('m', 2, "X-A\0\0"),
            FakeMilter.Packet('m', 9, "X-B\0nobody\0"),
            FakeMilter.Packet('m', 9, "To\0nobody\0"),
            FakeMilter.Packet('h', "X-New\0new\0"),
            FakeMilter.Packet('c'),
        ]);
        await using var host = await StartAsync(milter, new() { ["Ingress:Filters:0:ChangesHeaders"] = "true" });
        await using var client = await Client.GreetedAsync(host.Mx);
        const string Header = "From: bob@example.net\r\nX-A: 1\r\nSubject: x\r\n y\r\nX-A: 2\r\n\tfolded\r\nX-A: 3\r\n";
        await client.MessageAsync($"{Header}\r\nX-A: body");
        var message = await host.NextHintAsync();
        var content = Encoding.Latin1.GetString(await host.ContentAsync(message.MessageId));
        Assert.StartsWith("X-New: new\r\nX-B: nobody\r\nReceived: ", content, StringComparison.Ordinal);
        Assert.EndsWith(
            "\r\nFrom: bob@example.net\r\nX-A: 1\r\nSubject: other\r\n\tfolded\r\nX-A: 3\r\n\r\nX-A: body\r\n", content, StringComparison.Ordinal);
        Assert.Equal(content.Length, message.SizeBytes);

        // A header that is no header of fields, without end, or long stays as it came.
        foreach (var whole in (string[])["From: a\r\nno field\r\n\r\nbody\r\n", "Subject: all header\r\n", $"Subject: x\r\n{string.Concat(Enumerable.Repeat($"X-Long: {new string('x', 900)}\r\n", 40))}\r\nbody\r\n", "\r\nbody\r\n"])
        {
            await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
            await client.SayAsync("RCPT TO:<ann@example.com>", "250");
            await client.SayAsync("DATA", "354");
            await client.SendAsync($"{whole}.\r\n");
            await client.ExpectAsync("250");
            content = Encoding.Latin1.GetString(await host.ContentAsync((await host.NextHintAsync()).MessageId));
            Assert.EndsWith($"\r\n{whole}", content, StringComparison.Ordinal);
            Assert.DoesNotContain("other", content, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task What_a_milter_wants_discarded_or_leaves_nobody_for_waits_for_an_operator()
    {
        var answers = new Queue<byte[][]>([[FakeMilter.Packet('d')], [FakeMilter.Packet('-', "ann@example.com\0"), FakeMilter.Packet('a')]]);
        await using var milter = FakeMilter.Start((step, _) => step == 'E' ? answers.Dequeue() : [FakeMilter.Packet('c')]);
        await using var host = await StartAsync(milter);
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync("x: y\r\n");
        var message = await host.NextHintAsync();
        Assert.Equal(("filter fake: it wants it discarded", "ann@example.com"), (message.HoldReason, Assert.Single(message.Recipients)));
        await client.MessageAsync("x: y\r\n");
        message = await host.NextHintAsync();
        Assert.Equal(("filters have removed all recipients", "ann@example.com"), (message.HoldReason, Assert.Single(message.Recipients)));
    }

    [Fact]
    public async Task One_that_answers_nothing_but_the_end_is_not_waited_for_and_sees_all()
    {
        // NR_HDR, NR_CONN, NR_HELO, NR_MAIL, NR_RCPT, NR_DATA, NR_EOH, NR_BODY, and the space before a value.
        await using var milter = FakeMilter.Start((step, _) => step == 'E' ? [FakeMilter.Packet('c')] : [], steps: 0x80 | 0x1000 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x40000 | 0x80000 | 0x100000);
        await using var host = await StartAsync(milter);
        await using var client = await Client.GreetedAsync(host.Mx);
        var body = string.Concat(Enumerable.Repeat(new string('x', 76) + "\r\n", 2000));
        await client.MessageAsync($"Subject: x\r\n\r\n{body}"[..^2]);
        var told = milter.Told.ToArray();
        Assert.Contains("L Subject| x|", told);
        Assert.Equal(body, string.Concat(told.Where(step => step.StartsWith("B ", StringComparison.Ordinal)).Select(step => step[2..])));
    }

    [Fact]
    public async Task What_it_does_not_want_to_hear_it_is_not_told_and_skips_the_rest_of_a_body()
    {
        await using var milter = FakeMilter.Start((step, _) => step == 'B' ? [FakeMilter.Packet('s')] : [FakeMilter.Packet('c')], steps: 0x2 | 0x8 | 0x20 | 0x40 | 0x200 | 0x400);
        await using var host = await StartAsync(milter);
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync($"Subject: x\r\n\r\n{string.Concat(Enumerable.Repeat(new string('x', 76) + "\r\n", 3000))}");
        Assert.Equal("CMBE", string.Concat(milter.Told.Select(told => told[0]).Where(step => step != 'D')));
    }

    [Fact]
    public async Task Several_are_asked_in_their_order_and_one_that_refuses_ends_it()
    {
        await using var first = FakeMilter.Start((step, _) => step == 'E' ? [FakeMilter.Packet('h', "X-One\01\0"), FakeMilter.Packet('c')] : [FakeMilter.Packet('c')]);
        await using var second = FakeMilter.Start((step, content) => step == 'R' && content.StartsWith("<sales", StringComparison.Ordinal) ? [FakeMilter.Packet('r')]
            : step == 'E' ? [FakeMilter.Packet('h', "X-Two\02\0"), FakeMilter.Packet('c')] : [FakeMilter.Packet('c')]);
        await using var host = await StartAsync(first, new() { ["Ingress:Filters:1:Name"] = "second", ["Ingress:Filters:1:Address"] = second.Address });
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        await client.SayAsync("RCPT TO:<sales@example.com>", "550 5.7.1");
        await client.SayAsync("RCPT TO:<ann@example.com>", "250");
        await client.SayAsync("DATA", "354");
        await client.SayAsync("x: y\r\n.", "250");
        var message = await host.NextHintAsync();
        Assert.Equal(["ann@example.com"], message.Recipients);
        Assert.StartsWith("X-One: 1\r\nX-Two: 2\r\n", Encoding.Latin1.GetString(await host.ContentAsync(message.MessageId)), StringComparison.Ordinal);
        await using var user = await Client.GreetedAsync(host.Submission);
        Assert.Equal(1, first.Connections);
    }

    /// <summary>Of such a recipient it hears when the content comes: he has been taken, and does not go missing.</summary>
    [Fact]
    public async Task A_recipient_under_another_address_whom_it_refuses_refuses_the_message()
    {
        await using var milter = FakeMilter.Start((step, content) =>
            [FakeMilter.Packet(step == 'R' && content.StartsWith("<ann@", StringComparison.Ordinal) ? 'r' : 'c')]);
        await using var host = await StartAsync(milter, new() { ["Ingress:Postmaster"] = "ann@example.com" });
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        await client.SayAsync("RCPT TO:<Postmaster>", "250");
        await client.SayAsync("DATA", "354");
        await client.SayAsync("x: y\r\n.", "550 5.7.1");
        Assert.False(host.HasHint);
        // And that message alone.
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        await client.SayAsync("RCPT TO:<sales@example.com>", "250");
        await client.SayAsync("DATA", "354");
        await client.SayAsync("x: y\r\n.", "250");
    }

    [Fact]
    public async Task It_may_listen_on_a_Unix_socket()
    {
        var path = Path.Combine(Path.GetTempPath(), $"mailpipeline-milter-{Guid.NewGuid():N}"[..40]);
        await using var milter = FakeMilter.Start(path: path);
        await using var host = await StartAsync(milter);
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync("x: y\r\n");
        Assert.Contains("E", milter.Told);
    }

    [Theory]
    [InlineData("hangs", "timed_out")]
    [InlineData("dies", "away")]
    [InlineData("garbage", "garbage")]
    [InlineData("endless packet", "garbage")]
    [InlineData("replaces the body", "garbage")]
    [InlineData("bad field", "garbage")]
    [InlineData("too many fields", "garbage")]
    [InlineData("bad recipient", "garbage")]
    [InlineData("accepting reply", "garbage")]
    public async Task One_that_does_not_do_what_it_should_is_away_and_mail_is_deferred_or_taken(string fault, string counted)
    {
        foreach (var policy in (string[])["Defer", "Accept"])
        {
            await using var milter = FakeMilter.Start((step, _) => step != 'E' ? [FakeMilter.Packet('c')] : fault switch
            {
                "hangs" => [],
                "dies" => [[]],
                "garbage" => ["HTTP/1.1 400 Bad Request\r\n\r\n"u8.ToArray()],
                "endless packet" => [[0x7F, 0xFF, 0xFF, 0xFF, (byte)'h']],
                "replaces the body" => [FakeMilter.Packet('b', "other")],
                "bad field" => [FakeMilter.Packet('h', "X-A\0one\n\nbody\0")],
                "too many fields" => Enumerable.Repeat(FakeMilter.Packet('h', $"X-A\0{new string('x', 900)}\0"), 1000),
                "bad recipient" => [FakeMilter.Packet('+', "nobody\0")],
                _ => [FakeMilter.Packet('y', "250 2.0.0 Fine\0")],
            });
            await using var host = await StartAsync(milter, new()
            {
                ["Ingress:Filters:0:WhenAway"] = policy,
                ["Ingress:Filters:0:Timeout"] = "1s",
                ["Ingress:Filters:0:MessageTimeout"] = "1s",
            });
            using var away = host.Metric<long>("mailpipeline.ingress.filters_away");
            await using var client = await Client.GreetedAsync(host.Mx);
            await client.MessageAsync("x: y\r\n", policy == "Defer" ? "451 4.7.1" : "250");
            Assert.Equal(counted, Assert.Single(away.GetMeasurementSnapshot()).Tags["reason"]);
            // Another message of the session hears the same, and nobody waits for the filter again.
            await client.SayAsync("MAIL FROM:<bob@example.net>", policy == "Defer" ? "451 4.7.1" : "250");
            Assert.Single(away.GetMeasurementSnapshot());
        }
    }

    [Theory]
    [InlineData("dies")]
    [InlineData("garbage")]
    public async Task One_that_is_gone_before_its_last_answer_has_changed_nothing(string fault)
    {
        await using var first = FakeMilter.Start((step, _) => step == 'E' ? [FakeMilter.Packet('h', "X-One\01\0"), FakeMilter.Packet('c')] : [FakeMilter.Packet('c')]);
        await using var second = FakeMilter.Start((step, _) => step != 'E' ? [FakeMilter.Packet('c')] :
        [
            FakeMilter.Packet('-', "<ann@example.com>\0"), FakeMilter.Packet('h', "X-Two\02\0"), FakeMilter.Packet('q', "looks odd\0"),
            fault == "dies" ? [] : FakeMilter.Packet('b', "other"),
        ]);
        await using var host = await StartAsync(first, new()
        {
            ["Ingress:Filters:1:Name"] = "second", ["Ingress:Filters:1:Address"] = second.Address, ["Ingress:Filters:1:WhenAway"] = "Accept",
        });
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync("x: y\r\n");
        var message = await host.NextHintAsync();
        Assert.Equal(("", "ann@example.com"), (message.HoldReason, Assert.Single(message.Recipients)));
        Assert.StartsWith("X-One: 1\r\nReceived: ", Encoding.Latin1.GetString(await host.ContentAsync(message.MessageId)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("nobody there")]
    [InlineData("never negotiates")]
    [InlineData("dies at once")]
    public async Task One_that_is_away_from_the_start_is_said_at_MAIL(string fault)
    {
        await using var milter = FakeMilter.Start((_, _) => [[]]);
        using var silent = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        silent.Start();
        var address = fault switch { "nobody there" => "127.0.0.1:9", "never negotiates" => silent.LocalEndpoint.ToString()!, _ => milter.Address };
        foreach (var policy in (string[])["Defer", "Accept"])
        {
            await using var host = await StartAsync(milter, new()
            {
                ["Ingress:Filters:0:WhenAway"] = policy,
                ["Ingress:Filters:0:Timeout"] = "500ms",
            }, address);
            await using var client = await Client.GreetedAsync(host.Mx);
            await client.SayAsync("MAIL FROM:<bob@example.net>", policy == "Defer" ? "451 4.7.1" : "250");
        }
    }

    [Fact]
    public async Task Progress_keeps_it_from_being_away_but_not_without_end()
    {
        var pieces = new TaskCompletionSource();
        var sent = 0;
        await using var milter = FakeMilter.Start((step, _) => step != 'E' ? [FakeMilter.Packet('c')] : Progress());
        await using var host = await StartAsync(milter, new() { ["Ingress:Filters:0:MessageTimeout"] = "300ms" });
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync("x: y\r\n", "451 4.7.1");
        // One comes every tenth of a second: the time of a message had long been over.
        Assert.True(Volatile.Read(ref sent) > 3, $"{sent} pieces");
        pieces.SetResult();

        IEnumerable<byte[]> Progress()
        {
            while (!pieces.Task.Wait(100, Cancellation))
            {
                Interlocked.Increment(ref sent);
                yield return FakeMilter.Packet('p');
            }
        }
    }

    [Theory]
    [InlineData(20, "451 4.7.1")]
    [InlineData(5, "250")]
    public async Task One_that_takes_its_time_for_each_field_is_away_when_the_message_has_waited_long_enough(int fields, string reply)
    {
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var milter = FakeMilter.Start((step, _) =>
        {
            // Less than what one answer may take.
            if (step == 'L')
                time.Advance(TimeSpan.FromSeconds(4));
            return [FakeMilter.Packet('c')];
        });
        await using var host = await StartAsync(milter, new() { ["Ingress:Filters:0:MaxTime"] = "30s" }, time: time);
        using var away = host.Metric<long>("mailpipeline.ingress.filters_away");
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync($"{string.Concat(Enumerable.Repeat("x: y\r\n", fields))}\r\ntext", reply);
        Assert.Equal(reply == "250" ? 0 : 1, away.GetMeasurementSnapshot().Count);
        if (reply != "250")
            Assert.Equal("timed_out", away.GetMeasurementSnapshot()[0].Tags["reason"]);
    }

    [Theory]
    [InlineData("Ingress:Filters:0:Name", "a b", "Ingress:Filters:0:Name is 'a b'; it must be 1 to 40 letters, digits, '-', '.' and '_'")]
    [InlineData("Ingress:Filters:0:Name", "a\n", "Ingress:Filters:0:Name is 'a\n'; it must be 1 to 40 letters, digits, '-', '.' and '_'")]
    [InlineData("Ingress:Filters:0:Address", "localhost:1", "Ingress:Filters:0:Address is 'localhost:1'; it must be an IP address and a port, such as 127.0.0.1:11332, or the full path of a Unix socket")]
    [InlineData("Ingress:Filters:0:Protocol", "Rspamd", "Ingress:Filters:0:Address is '127.0.0.1:1'; it must be like http://127.0.0.1:11333")]
    [InlineData("Ingress:Filters:0:MaxTime", "11m", "Ingress:Filters:0:MaxTime is 00:11:00; it must be 00:00:00.0500000 to 00:10:00")]
    [InlineData("Ingress:Filters:0:Timeout", "1h", "Ingress:Filters:0:Timeout is 01:00:00; it must be 00:00:00.0500000 to 00:05:00")]
    public async Task What_is_wrong_in_its_settings_is_said(string setting, string value, string expected)
    {
        var failure = await Assert.ThrowsAsync<Microsoft.Extensions.Options.OptionsValidationException>(async () => await IngressHost.StartAsync(
            new Dictionary<string, string> { ["Ingress:Filters:0:Name"] = "a", ["Ingress:Filters:0:Address"] = "127.0.0.1:1", [setting] = value }));
        Assert.Contains(expected, failure.Failures);
    }

    private static async Task SayAllAsync(Client client, char at, string reply)
    {
        await client.ExpectAsync(at == 'C' ? reply : "220");
        if (at == 'C')
            return;
        await client.SayAsync("EHLO client.example.net", at == 'H' ? "550 5.7.1" : "250");
        if (at == 'H')
            return;
        await client.SayAsync("MAIL FROM:<bob@example.net>", at == 'M' ? reply : "250");
        if (at == 'M')
            return;
        await client.SayAsync("RCPT TO:<ann@example.com>", at == 'R' ? reply : "250");
        if (at == 'R')
            return;
        await client.SayAsync("DATA", "354");
        await client.SayAsync("Subject: x\r\n\r\nhi\r\n.", reply);
    }

    private static Task<IngressHost> StartAsync(FakeMilter milter, Dictionary<string, string>? settings = null, string? address = null, FakeTimeProvider? time = null) =>
        IngressHost.StartAsync(new Dictionary<string, string>(settings ?? [])
        {
            ["Ingress:Filters:0:Name"] = "fake",
            ["Ingress:Filters:0:Address"] = address ?? milter.Address,
        }, time);
}
