using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using MailPipeline.Mail;
using MailPipeline.Queue.Events;

namespace MailPipeline.Queue.Tests;

/// <summary>Complaints that providers report (RFC 5965): what is read of them, and which are believed.</summary>
public sealed class FeedbackTests
{
    private const string Host = "mail.example.org";

    // As in RFC 5965, appendix B.2, with names of ours.
    private const string Fields =
        """
        Feedback-Type: abuse
        User-Agent: SomeGenerator/1.0
        Version: 1
        Original-Mail-From: <sender@example.org>
        Original-Rcpt-To: <a@example.net>
        Received-Date: Thu, 8 Mar 2005 14:00:00 EDT
        Source-IP: 192.0.2.1
        Reporting-MTA: dns; mail.example.net
        """;

    private const string Header =
        """
        Received: from mail.example.org (mail.example.org [192.0.2.1])
         by mx.example.net with ESMTP id M63d4137594e46; Thu, 08 Mar 2005 14:00:00 -0400
        Received: from client.example.org (client.example.org[192.0.2.9])
         by mail.example.org with ESMTPSA id 3E8
         for <a@example.net>; Thu, 08 Mar 2005 14:00:00 +0000
        From: <sender@example.org>
        Subject: news
        Message-ID: <news.1@example.org>
        """;

    [Fact]
    public void A_report_says_what_is_needed_to_find_the_message_and_to_tell_of_it()
    {
        var report = Read(Report(Fields, Header));
        Assert.Equal(("abuse", "192.0.2.1", "mail.example.net", "news.1@example.org", 1000L), (report.Type, report.Source, report.Host, report.HeaderId, report.MessageId));
        Assert.Equal(["a@example.net"], report.Recipients);
        // With the message's header alone, and with nothing more than there has to be.
        Assert.Equal("news.1@example.org", Read(Report(Fields, Header, part: "text/rfc822-headers")).HeaderId);
        var least = Read(Report("Feedback-Type: Fraud", ""));
        Assert.Equal(("fraud", "", "", "", null), (least.Type, least.Source, least.Host, least.HeaderId, least.MessageId));
        Assert.Equal("auth-failure", Read(Report("Feedback-Type: auth-failure\nAuth-Failure: dmarc\nUser-Agent: x\nVersion: 1", Header)).Type);
    }

    [Theory]
    // What stands below our own field came with the message, and above it stands what others have added.
    [InlineData("Received: from x by mail.example.org with ESMTP id 7D0; x\nReceived: from y by mail.example.org with ESMTP id 3E8; x", 2000L)]
    [InlineData("Received: from x by other.example with ESMTP id 7D0; x\nReceived: from y by MAIL.example.org with ESMTPSA id 3E8; x", 1000L)]
    [InlineData("Received: from mail.example.org by other.example with ESMTP id 3E8; x", null)]
    [InlineData("Received: from y by mail.example.org with ESMTP id FFFFFFFFFFFFFFFFFFFF; x", null)]
    [InlineData("Received: from y by mail.example.org with ESMTP id 0; x", null)]
    [InlineData("Received: from y by mail.example.org.evil.example with ESMTP id 3E8; x", null)]
    [InlineData("X-Received: from y by mail.example.org with ESMTP id 3E8; x", null)]
    public void Our_id_is_that_of_the_topmost_field_of_ours(string header, long? id) => Assert.Equal(id, Read(Report(Fields, header)).MessageId);

    [Theory]
    [InlineData("<a@example.net>", "a@example.net")]
    [InlineData("a@example.net", "a@example.net")]
    [InlineData("rfc822; a@example.net", "a@example.net")]
    [InlineData("redacted", "")]
    [InlineData("<>", "")]
    [InlineData("a@example.net, b@example.net", "")]
    public void A_recipient_is_read_with_or_without_brackets(string written, string expected) => Assert.Equal(
        expected, string.Join(' ', Read(Report($"Feedback-Type: abuse\nOriginal-Rcpt-To: {written}", Header)).Recipients));

    public static TheoryData<string, string> Hostile => new()
    {
        { "", "End of stream" },
        { "Subject: x\n\nplain", "it is no multipart/report" },
        { "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\nx\n--b--", "it is no multipart/report" },
        { "Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\n\nx\n--b--", "it has no part message/feedback-report" },
        { Report("User-Agent: x", Header), "it has no part message/feedback-report with a Feedback-Type" },
        { Report($"Feedback-Type: {new string('x', 65)}", Header), "it has no part message/feedback-report with a Feedback-Type" },
        { Report(Fields, string.Concat(Enumerable.Repeat("X: y\n", 20_001))), "it has more than 200 parts or 20000 lines" },
        { Report(Fields, "X: y\n\n" + string.Concat(Enumerable.Repeat("--b\n\n", 201))), "it has more than 200 parts or 20000 lines" },
    };

    [Theory, MemberData(nameof(Hostile))]
    public void What_is_none_is_said_to_be_so(string text, string expected)
    {
        Assert.False(FeedbackReport.TryRead(Octets(text), Host, out _, out var fault));
        Assert.StartsWith(expected, fault, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_nested_deeply_cut_off_or_no_text_costs_nothing_and_is_read_as_far_as_it_goes()
    {
        var nested = new StringBuilder();
        for (var depth = 0; depth < 150; depth++)
            nested.Append(System.Globalization.CultureInfo.InvariantCulture, $"Content-Type: multipart/mixed; boundary=n{depth}\n\n--n{depth}\n");
        Assert.Equal("news.1@example.org", Read(Report(Fields, $"{Header}\n{nested}")).HeaderId);
        // The message goes on behind what is looked at.
        var octets = Octets(Report(Fields, $"{Header}\nContent-Type: text/plain\n\n{new string('x', FeedbackReport.MaxBytes)}"));
        Assert.True(FeedbackReport.TryRead(octets[..FeedbackReport.MaxBytes], Host, out var report, out _));
        Assert.Equal(1000, report.MessageId);
        var many = string.Concat(Enumerable.Range(0, 5000).Select(i => $"Original-Rcpt-To: <{i}@example.net>\n"));
        Assert.Equal(20, Read(Report($"Feedback-Type: abuse\n{many}", Header)).Recipients.Count);
        // Whatever octets come, they come to an end.
        var random = new Random(23);
        var whole = Octets(Report(Fields, Header)).ToArray();
        for (var i = 0; i < 300; i++)
        {
            var broken = whole.ToArray();
            for (var change = 0; change < 5; change++)
                broken[random.Next(broken.Length)] = (byte)random.Next(256);
            FeedbackReport.TryRead(broken.AsMemory(0, random.Next(broken.Length)), Host, out _, out _);
        }
    }

    private const string Proven = "dmarc-pass";

    private sealed record Case(string From, string Tag, string How, string Recipient, string Expected);

    private static readonly Case[] s_cases =
    [
        // Of the recipient's own organisation, about the only one there, whether it names him or not.
        new("fbl@mail.example.net", Proven, "", "<a@example.net>", "untrusted a@example.net"),
        new("fbl@example.net", Proven, "no Received", "<a@example.net>", "untrusted a@example.net"),
        new("fbl@example.com", Proven, "", "", "untrusted c@example.com"),
        // Another user there may have the message too, and name whom he likes; whom an operator trusts does not.
        new("fbl@example.net", Proven, "two", "<a@example.net>", "ambiguous"),
        new("fbl@feedback.trusted.example", Proven, "two", "<a@example.net>", "recorded a@example.net"),
        new("fbl@trusted.example", Proven, "two", "", "ambiguous"),
        new("fbl@nottrusted.example", Proven, "", "<a@example.net>", "unmatched"),
        // Our id alone can be guessed.
        new("fbl@example.net", Proven, "no Message-ID", "<a@example.net>", "unmatched"),
        new("fbl@trusted.example", Proven, "no Message-ID", "<a@example.net>", "recorded a@example.net"),
        // Who is not proven, and who speaks of others' recipients, is not believed.
        new("fbl@example.net", "dmarc-fail", "", "<a@example.net>", "unproven"),
        new("fbl@trusted.example", "", "", "<a@example.net>", "unproven"),
        new("fbl@evil.example", Proven, "", "<a@example.net>", "unmatched"),
        // Forged: an id of ours under another's Message-ID, a message that we never sent, a recipient who was not delivered to, or is none.
        new("fbl@trusted.example", Proven, "other Message-ID", "<a@example.net>", "unmatched"),
        new("fbl@example.net", Proven, "no Received, other Message-ID", "<a@example.net>", "unmatched"),
        new("fbl@trusted.example", Proven, "no Received, no Message-ID", "<a@example.net>", "unmatched"),
        new("fbl@example.net", Proven, "", "<refused@example.net>", "unmatched"),
        new("fbl@trusted.example", Proven, "", "<nobody@example.net>", "unmatched"),
        // What is no complaint.
        new("fbl@example.net", Proven, "not-spam", "<a@example.net>", "not_spam"),
        new("fbl@example.net", Proven, "auth-failure", "<a@example.net>", "auth_failure"),
    ];

    [Fact]
    public async Task A_complaint_counts_where_it_is_proven_and_about_a_message_that_we_have_handed_over()
    {
        await using var queue = await StartAsync();
        foreach (var (number, one) in s_cases.Index())
        {
            var headerId = $"news.{number}@example.org";
            var sent = await SendAsync(queue, headerId, one.How == "two");
            var header = Header.Replace("id 3E8", $"id {sent:X}", StringComparison.Ordinal).Replace("news.1@example.org", headerId, StringComparison.Ordinal);
            if (one.How.Contains("no Received", StringComparison.Ordinal))
                header = header[header.IndexOf("From:", StringComparison.Ordinal)..];
            if (one.How.Contains("no Message-ID", StringComparison.Ordinal))
                header = header[..header.IndexOf("Message-ID:", StringComparison.Ordinal)];
            else if (one.How.Contains("other Message-ID", StringComparison.Ordinal))
                header = header.Replace("<news.", "<other.", StringComparison.Ordinal);
            var fields = Fields.Replace("Original-Rcpt-To: <a@example.net>", one.Recipient.Length > 0 ? $"Original-Rcpt-To: {one.Recipient}" : "X: y", StringComparison.Ordinal);
            if (one.How is "not-spam" or "auth-failure")
                fields = fields.Replace("Feedback-Type: abuse", $"Feedback-Type: {one.How}", StringComparison.Ordinal);

            var report = await ArriveAsync(queue, Report(fields, header, one.From), one.Tag);
            Assert.Contains(queue.Lines(2185), line => line.StartsWith($"message={report:X} status=feedback-{one.Expected.Split(' ')[0]} ", StringComparison.Ordinal));
            var complained = (await queue.History.FindAsync(sent, default))!.Recipients.Where(recipient => recipient.Complaint is not null).ToList();
            Assert.Equal(one.Expected.Contains(' ', StringComparison.Ordinal) ? one.Expected.Split(' ')[1] : "", string.Join(' ', complained.Select(recipient => recipient.Address)));
            if (complained.Count == 0)
                continue;
            var complaint = complained[0].Complaint!;
            Assert.Equal(
                ("abuse", "192.0.2.1", one.From.Split('@')[1], report, "mail.example.net", one.Expected.StartsWith("recorded", StringComparison.Ordinal)),
                (complaint.Feedback, complaint.Source, complaint.Reporter, complaint.ReportId, complaint.Host, complaint.IsTrusted));
            // The same again changes nothing.
            var again = await ArriveAsync(queue, Report(fields, header, one.From), one.Tag);
            Assert.Contains(queue.Lines(2185), line => line.StartsWith($"message={again:X} status=feedback-known ", StringComparison.Ordinal));
        }

        Assert.Equal(s_cases.Count(one => one.Expected.Contains(' ', StringComparison.Ordinal)), queue.Lines(2184).Count);
        Assert.False(await queue.Duty("read_feedback").RoundAsync());
    }

    /// <summary>Somebody else at his provider may write a report that is proven, with a Message-ID that he knows of an archive.</summary>
    [Fact]
    public async Task Who_is_named_by_a_reporter_whom_nobody_trusts_still_gets_mail()
    {
        const string lists = "ann@example.org";
        var joe = new OperatorIdentity("joe");
        await using var queue = await StartAsync();
        await queue.Suppressions.BeginAsync(lists, TimeSpan.FromDays(30), joe);
        var sent = await SendAsync(queue, "news.1@example.org");
        await queue.ExecuteAsync($"UPDATE recipients SET flow = '{lists}' WHERE id >> 16 = {sent}");
        var header = Header.Replace("id 3E8", $"id {sent:X}", StringComparison.Ordinal);

        await ArriveAsync(queue, Report(Fields, header[header.IndexOf("From:", StringComparison.Ordinal)..], "stranger@example.net"), Proven);
        Assert.Equal([("a@example.net", false)], await ComplaintsAsync());
        Assert.Empty(await queue.Suppressions.ListAsync(lists, "", 10, default));
        // Nor does it stand for one of whom an operator trusts.
        await ArriveAsync(queue, Report(Fields, header, "fbl@trusted.example"), Proven);
        Assert.Equal([("a@example.net", true)], await ComplaintsAsync());
        Assert.Equal([("a@example.net", SuppressionCause.Complaint)], (await queue.Suppressions.ListAsync(lists, "", 10, default)).Select(one => (one.Address, one.Cause)));
        // What is known does not undo what an operator did since.
        await queue.Suppressions.RemoveAsync(lists, "a@example.net", joe);
        await ArriveAsync(queue, Report(Fields, header, "fbl@trusted.example"), Proven);
        Assert.Empty(await queue.Suppressions.ListAsync(lists, "", 10, default));

        async Task<IEnumerable<(string, bool)>> ComplaintsAsync() => (await queue.History.FindAsync(sent, default))!.Recipients
            .Where(recipient => recipient.Complaint is not null).Select(recipient => (recipient.Address, recipient.Complaint!.IsTrusted));
    }

    [Fact]
    public async Task What_comes_to_an_address_for_complaints_is_read_once_and_goes_on_as_any_other_mail()
    {
        await using var queue = await StartAsync();
        var sent = await SendAsync(queue, "news.1@example.org");
        var text = Report(Fields, Header.Replace("id 3E8", $"id {sent:X}", StringComparison.Ordinal), "fbl@example.net");
        // By an alias, and what is none.
        var first = await queue.AcceptAsync(hint: true, "", null, ["complaints@example.org"], text);
        var none = await queue.AcceptAsync(hint: true, "", null, ["FBL@example.org"], "Subject: hello\r\n\r\nhello\r\n");
        var other = await queue.AcceptAsync(hint: true, "", null, ["ann@example.org"], text);
        await Until.TrueAsync(() => Task.FromResult(queue.Lines(2185).Count + queue.Lines(2186).Count == 2), "both are read");
        // Nobody says here whom it is from.
        Assert.Equal($"message={first:X} status=feedback-unproven type=abuse from=example.net", Assert.Single(queue.Lines(2185)));
        Assert.StartsWith($"message={none:X} ", Assert.Single(queue.Lines(2186)), StringComparison.Ordinal);
        foreach (var message in (long[])[first, none, other])
            Assert.All((await queue.OutcomeOfAsync(message)).Recipients, one => Assert.Equal(RecipientState.Delivered, one.State));
    }

    [Fact]
    public async Task A_report_that_was_held_is_read_once_it_is_released_and_one_over_which_processes_die_is_left_alone()
    {
        await using var queue = await StartAsync();
        var held = await queue.AcceptHeldAsync("fbl@example.org", Report(Fields, Header, "fbl@example.net"));
        await Until.TrueAsync(async () => (await queue.CountAsync()).Unrouted == 0, "it is routed");
        await queue.Duty("read_feedback").RoundAsync();
        Assert.Empty(queue.Lines(2185));
        await queue.Operator.ReleaseAsync(held, new OperatorIdentity("operator"));
        await Until.TrueAsync(async () =>
        {
            await queue.Duty("read_feedback").RoundAsync();
            return queue.Lines(2185).Count == 1;
        }, "it is read");
        await queue.ExecuteAsync("INSERT INTO feedback_unread (message_id, tries) VALUES (12345, 0), (12346, 3)");
        await queue.Duty("read_feedback").RoundAsync();
        await Until.TrueAsync(() => Task.FromResult(queue.Lines(2186).Count == 1), "nobody looks at them again");
        Assert.EndsWith("its reading was begun 3 times", Assert.Single(queue.Lines(2186)), StringComparison.Ordinal);
    }

    private static async Task<QueueUnderTest> StartAsync()
    {
        var queue = await QueueUnderTest.StartAsync(new() { ["Events:FeedbackAddresses:0"] = "fbl@example.org", ["Events:FeedbackFrom:0"] = "trusted.example" });
        await queue.Directory.AddDomainAsync("example.org");
        foreach (var name in (string[])["fbl", "ann"])
            await queue.Directory.AddAccountAsync($"{name}@example.org", StoredPassword.Create("secret", MailPipeline.Sasl.ScramKeys.LeastIterations));
        await queue.Directory.AddAliasAsync("complaints@example.org", "fbl@example.org");
        return queue;
    }

    /// <summary>A message of ours to recipients of two domains, who have it, and to one who was refused.</summary>
    /// <param name="hasTwo">Of one domain there are two.</param>
    private static async Task<long> SendAsync(QueueUnderTest queue, string headerId, bool hasTwo = false)
    {
        queue.Worker.Answer = recipient => recipient.Address.StartsWith("refused@", StringComparison.Ordinal)
            ? (AttemptOutcome.Failed, "5.1.1", "550 who?") : (AttemptOutcome.Delivered, "2.0.0", "250 ok");
        var id = await queue.AcceptAsync(
            hint: true, "", null, ["a@example.net", hasTwo ? "b@example.net" : "b@example.edu", "c@example.com", "refused@example.net"], $"Subject: news\r\nMessage-ID: <{headerId}>\r\n\r\nx\r\n");
        await queue.OutcomeOfAsync(id);
        await queue.ExecuteAsync($"UPDATE messages SET header_id = '{headerId}' WHERE id = {id}; INSERT INTO search_terms (term, message_id) VALUES ({Term(headerId)}, {id})");
        return id;
    }

    // As messages are found by their Message-ID.
    private static long Term(string headerId) => BinaryPrimitives.ReadInt64BigEndian(SHA256.HashData(Encoding.UTF8.GetBytes($"i{headerId}")));

    /// <summary>With what the door has found of it before anybody looks.</summary>
    private static async Task<long> ArriveAsync(QueueUnderTest queue, string text, string tag)
    {
        var id = await queue.AcceptAsync(hint: true, "", null, ["ann@example.org"], text);
        await queue.OutcomeOfAsync(id);
        await queue.ExecuteAsync($"UPDATE messages SET tags = 'spf-pass\n{tag}' WHERE id = {id}; INSERT INTO feedback_unread (message_id, tries) VALUES ({id}, 0)");
        await Until.TrueAsync(async () =>
        {
            await queue.Duty("read_feedback").RoundAsync();
            return queue.Lines(2185).Any(line => line.StartsWith($"message={id:X} ", StringComparison.Ordinal));
        }, "it is read");
        return id;
    }

    private static FeedbackReport Read(string text)
    {
        Assert.True(FeedbackReport.TryRead(Octets(text), Host, out var report, out var fault), fault);
        return report;
    }

    private static ReadOnlyMemory<byte> Octets(string text) => Encoding.UTF8.GetBytes(text.ReplaceLineEndings("\r\n"));

    private static string Report(string fields, string header, string from = "fbl@example.net", string part = "message/rfc822") =>
        $"""
        From: <{from}>
        Subject: FW: news
        MIME-Version: 1.0
        Content-Type: multipart/report; report-type=feedback-report; boundary="part1_13d.2e68ed54_boundary"

        --part1_13d.2e68ed54_boundary
        Content-Type: text/plain; charset="US-ASCII"

        This is an email abuse report.

        --part1_13d.2e68ed54_boundary
        Content-Type: message/feedback-report

        {fields}

        --part1_13d.2e68ed54_boundary
        Content-Type: {part}
        Content-Disposition: inline

        {header}

        --part1_13d.2e68ed54_boundary--

        """.ReplaceLineEndings("\r\n");
}
