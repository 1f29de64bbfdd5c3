using System.Globalization;
using MailPipeline.Mail;
using MailPipeline.Queue.Reports;
using MimeKit;

namespace MailPipeline.Queue.Tests;

/// <summary>What the sender is told when a recipient is given up (RFC 3464).</summary>
public sealed class ReportTests
{
    [Fact]
    public async Task A_report_passes_every_server_whatever_the_far_end_said()
    {
        await using var queue = await StartAsync();
        queue.Worker.Answer = _ => (AttemptOutcome.Failed, "5.1.1", "550 5.1.1 kein Empfänger für Sie");
        await queue.AcceptAsync(hint: true, "sender@example.org", "bad@example.net");
        await queue.ReportArrivesAsync();

        var text = await queue.ReadAsync(Assert.Single(await queue.MaildropAsync("sender@example.org")));
        Assert.True(System.Text.Ascii.IsValid(text), text);
        Assert.Contains("Diagnostic-Code: smtp; 550 5.1.1 kein Empf?nger f?r Sie", text, StringComparison.Ordinal);
        // RFC 3464 §2.3.5: a name, without address and port.
        Assert.Contains("Remote-MTA: dns; mx.example.net\r\n", text, StringComparison.Ordinal);
        var report = Assert.IsType<MultipartReport>((await MimeMessage.LoadAsync(new MemoryStream(System.Text.Encoding.UTF8.GetBytes(text)))).Body);
        Assert.Contains("kein Empfänger für Sie", Assert.IsType<TextPart>(report[0]).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_the_far_end_said_stands_in_the_report_without_encoding_however_long_its_words_are()
    {
        await using var queue = await StartAsync();
        queue.Worker.Answer = _ => (AttemptOutcome.Failed, "5.1.1", "550 5.1.1 " + new string('y', 900) + " end");
        await queue.AcceptAsync(hint: true, "sender@example.org", "bad@example.net");
        await queue.ReportArrivesAsync();

        var text = await queue.ReadAsync(Assert.Single(await queue.MaildropAsync("sender@example.org")));
        // Folded between words only: a space within one would be read as two words.
        Assert.Contains($"Diagnostic-Code: smtp; 550 5.1.1\r\n {new string('y', 900)}\r\n end\r\n", text, StringComparison.Ordinal);
        Assert.DoesNotContain("=?", text, StringComparison.Ordinal);
        Assert.Contains(" said: 550 5.1.1", text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(77, 77)]
    [InlineData(78, 78)]
    [InlineData(997, 997)]
    // No line may be longer (RFC 5322 §2.1.1).
    [InlineData(998, 997, 1)]
    public void A_word_stays_whole_as_far_as_a_line_goes(int length, params int[] words)
    {
        var header = StatusField.Text("Diagnostic-Code", "smtp", "550 no such user: " + new string('d', length) + " here");
        Assert.Equal(words, header.Value.Split(' ').Where(word => word.StartsWith('d')).Select(word => word.Length));
        Assert.All(System.Text.Encoding.ASCII.GetString(header.RawValue).Split("\r\n"), line => Assert.InRange(line.Length, 0, 998));
    }

    [Fact]
    public async Task A_report_puts_no_words_into_the_mouth_of_a_far_end_that_said_none()
    {
        await using var queue = await StartAsync();
        queue.Worker.Answer = _ => (AttemptOutcome.Failed, "5.4.4", "Connection lost while waiting for the reply to RCPT");
        await queue.AcceptAsync(hint: true, "sender@example.org", "bad@example.net");
        await queue.ReportArrivesAsync();

        var text = await queue.ReadAsync(Assert.Single(await queue.MaildropAsync("sender@example.org")));
        Assert.DoesNotContain(" said: ", text, StringComparison.Ordinal);
        Assert.Contains("while speaking to ", text, StringComparison.Ordinal);
        Assert.Contains("Diagnostic-Code: x-mailpipeline; Connection lost while waiting", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_report_names_a_host_once_that_our_own_sentence_names()
    {
        await using var queue = await StartAsync();
        queue.Worker.Answer = _ => (AttemptOutcome.Failed, "5.4.4", "mx.example.net[192.0.2.1]:25 refused the connection");
        await queue.AcceptAsync(hint: true, "sender@example.org", "bad@example.net");
        await queue.ReportArrivesAsync();

        var text = await queue.ReadAsync(Assert.Single(await queue.MaildropAsync("sender@example.org")));
        Assert.Contains("\r\n    mx.example.net[192.0.2.1]:25 refused the connection\r\n", text, StringComparison.Ordinal);
        Assert.DoesNotContain("while speaking to ", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_refused_recipient_is_reported_to_the_sender_once()
    {
        await using var queue = await StartAsync();
        queue.Worker.Answer = r => r.Address == "good@example.net"
            ? (AttemptOutcome.Delivered, "2.0.0", "250 Ok")
            : (AttemptOutcome.Failed, "5.1.1", "550 5.1.1 no such user");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "bad@example.net", "good@example.net", "worse@example.net");
        await queue.OutcomeOfAsync(id);
        await queue.ReportArrivesAsync();
        await queue.DrainedAsync();

        var text = await queue.ReadAsync(Assert.Single(await queue.MaildropAsync("sender@example.org")));
        var report = Assert.IsType<MultipartReport>((await MimeMessage.LoadAsync(new MemoryStream(System.Text.Encoding.UTF8.GetBytes(text)))).Body);
        Assert.Equal("delivery-status", report.ReportType);
        Assert.Contains("Final-Recipient: rfc822; bad@example.net", text, StringComparison.Ordinal);
        Assert.Contains("Final-Recipient: rfc822; worse@example.net", text, StringComparison.Ordinal);
        Assert.DoesNotContain("good@example.net", text, StringComparison.Ordinal);
        Assert.Contains("Status: 5.1.1", text, StringComparison.Ordinal);
        Assert.Contains("Message-ID: <1@example.org>", text, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("Auto-Submitted: auto-replied", text, StringComparison.Ordinal);
    }

    /// <summary>"What happened to joe@?" is one search of the log.</summary>
    [Fact]
    public async Task The_log_has_a_line_for_each_recipient_that_is_deferred_or_given_up()
    {
        await using var queue = await StartAsync();
        var isLater = false;
        queue.Worker.Answer = r => r.Address == "bad@example.net"
            ? (AttemptOutcome.Failed, "5.1.1", "550 5.1.1 no such user")
            : isLater ? (AttemptOutcome.Delivered, "2.0.0", "250 Ok") : (AttemptOutcome.Deferred, "4.2.2", "452 4.2.2 full");
        var id = MessageIds.ToText(await queue.AcceptAsync(hint: true, "sender@example.org", "bad@example.net", "late@example.net"));
        await Until.TrueAsync(() => Task.FromResult(queue.Lines(2022).Count > 0 && queue.Lines(2021).Count > 0), "both outcomes are logged");
        isLater = true;

        Assert.Matches($@"^message={id} to=<bad@example\.net> relay=\S* status=bounced dsn=5\.1\.1 class=mailbox reply=550 5\.1\.1 no such user$", Assert.Single(queue.Lines(2021)));
        Assert.Matches(
            $@"^message={id} to=<late@example\.net> relay=\S* status=deferred dsn=4\.2\.2 class=quota next=\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ reply=452 4\.2\.2 full$",
            queue.Lines(2022)[0]);
        await queue.ReportArrivesAsync();
        await queue.DrainedAsync();
    }

    [Fact]
    public async Task The_log_says_what_the_sender_wrote_where_an_alias_led_on()
    {
        await using var queue = await StartAsync();
        await queue.Directory.AddAliasAsync("list@example.org", "bad@example.net");
        await queue.Directory.AddAliasAsync("list@example.org", "late@example.net");
        var isLater = false;
        queue.Worker.Answer = r => r.Address == "bad@example.net"
            ? (AttemptOutcome.Failed, "5.1.1", "550 5.1.1 no such user")
            : isLater ? (AttemptOutcome.Delivered, "2.0.0", "250 Ok") : (AttemptOutcome.Deferred, "4.2.2", "452 4.2.2 full");
        await queue.AcceptAsync(hint: true, "sender@example.org", "list@example.org");
        // The first time it is offered by the router, the second time it is read from storage.
        await Until.TrueAsync(() => Task.FromResult(queue.Lines(2022).Count > 1 && queue.Lines(2021).Count > 0), "all outcomes are logged");
        isLater = true;

        Assert.Contains(" to=<bad@example.net> orig=<list@example.org> relay=", Assert.Single(queue.Lines(2021)), StringComparison.Ordinal);
        Assert.All(queue.Lines(2022), line => Assert.Contains(" to=<late@example.net> orig=<list@example.org> relay=", line, StringComparison.Ordinal));
        await queue.ReportArrivesAsync();
        await queue.DrainedAsync();
    }

    [Fact]
    public async Task The_log_names_no_attempt_before_the_end_of_the_domains_back_off()
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:RetrySteps:1"] = "02:00:00" });
        // The domain fails for the second time, and the recipient for the first.
        await queue.Store.SetBackoffAsync("example.net", new DomainBackoff(1, DateTimeOffset.UnixEpoch, "no route to host"));
        queue.Worker.Reachable = _ => false;
        await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        await Until.TrueAsync(() => Task.FromResult(queue.Lines(2022).Count > 0), "the deferral is logged");

        var line = queue.Lines(2022)[0];
        var next = DateTimeOffset.Parse(line[(line.IndexOf("next=", StringComparison.Ordinal) + 5)..].Split(' ')[0], CultureInfo.InvariantCulture);
        var end = (await queue.Store.FindBackoffAsync("example.net", default))!.BackoffUntil;
        Assert.InRange(next, end.AddSeconds(-1), end);
    }

    [Fact]
    public async Task A_report_names_what_the_sender_wrote_and_where_an_alias_led()
    {
        await using var queue = await StartAsync();
        await queue.Directory.AddAliasAsync("sales@example.org", "bob@example.net");
        queue.Worker.Answer = _ => (AttemptOutcome.Failed, "5.1.1", "550 5.1.1 no such user");
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, "sender@example.org", "Sales@example.org", "direct@example.net"));
        await queue.ReportArrivesAsync();
        await queue.DrainedAsync();

        var texts = new List<string>();
        foreach (var message in await queue.MaildropAsync("sender@example.org"))
            texts.Add(await queue.ReadAsync(message));
        var text = string.Concat(texts);
        Assert.Contains("Original-Recipient: rfc822; Sales@example.org\r\nFinal-Recipient: rfc822; bob@example.net\r\n", text, StringComparison.Ordinal);
        Assert.Contains("  <Sales@example.org>, which leads to <bob@example.net>\r\n", text, StringComparison.Ordinal);
        Assert.Contains("\r\n\r\nFinal-Recipient: rfc822; direct@example.net\r\n", text, StringComparison.Ordinal);
        Assert.Contains("  <direct@example.net>\r\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_bounce_is_never_bounced()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        queue.Worker.Answer = _ => (AttemptOutcome.Failed, "5.1.1", "550 5.1.1 no such user");
        var id = await queue.AcceptAsync(hint: true, "", "a@example.net");
        Assert.Equal(RecipientState.Bounced, Assert.Single((await queue.OutcomeOfAsync(id)).Recipients).State);
        await queue.DrainedAsync();
        Assert.Equal(1, (await queue.CountAsync()).Messages);
    }

    [Fact]
    public async Task A_report_that_cannot_be_delivered_ends_there()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        queue.Worker.Answer = _ => (AttemptOutcome.Failed, "5.1.1", "550 5.1.1 no such user");
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net"));
        await Until.TrueAsync(() => Task.FromResult(queue.Worker.AttemptsAt("example.org") == 1), "the report was tried");
        await queue.DrainedAsync();
        Assert.Equal(2, (await queue.CountAsync()).Messages);
    }

    [Fact]
    public async Task A_recipient_whose_time_is_over_expires_with_a_report()
    {
        await using var queue = await StartAsync(new() { ["Queue:MaxAge"] = "00:00:01" });
        queue.Worker.Answer = _ => (AttemptOutcome.Deferred, "4.2.1", "450 4.2.1 try later");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        Assert.Equal(RecipientState.Expired, Assert.Single((await queue.OutcomeOfAsync(id)).Recipients).State);
        await queue.ReportArrivesAsync();
        var report = await queue.ReadAsync((await queue.MaildropAsync("sender@example.org"))[0]);
        Assert.Contains("Status: 5.4.7", report, StringComparison.Ordinal);
        // What the last attempt really heard, and no attempt that was never made.
        Assert.Contains("Diagnostic-Code: smtp; 450 4.2.1 try later", report, StringComparison.Ordinal);
        var attempts = Assert.Single((await queue.History.FindAsync(id, default))!.Recipients).Attempts;
        Assert.All(attempts, attempt => Assert.Equal("450 4.2.1 try later", attempt.Reply));
        Assert.Equal(queue.Worker.AttemptsAt("example.net"), attempts.Count);
    }

    [Fact]
    public async Task Mail_to_a_domain_that_stays_unreachable_expires_even_if_it_was_never_tried_itself()
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:MaxAge"] = "00:00:01" });
        queue.Worker.Reachable = domain => domain != "example.net";
        var ids = new List<long>();
        for (var i = 0; i < 20; i++)
            ids.Add(await queue.AcceptAsync(hint: true, "", $"user{i}@example.net"));
        foreach (var id in ids)
            Assert.Equal(RecipientState.Expired, Assert.Single((await queue.OutcomeOfAsync(id)).Recipients).State);
        await queue.DrainedAsync();
    }

    /// <summary>A queue whose senders have their maildrop here.</summary>
    private static async Task<QueueUnderTest> StartAsync(Dictionary<string, string?>? settings = null)
    {
        var queue = await QueueUnderTest.StartAsync(settings);
        await queue.Directory.AddDomainAsync("example.org");
        await queue.Directory.AddAccountAsync("sender@example.org", "hash");
        return queue;
    }
}
