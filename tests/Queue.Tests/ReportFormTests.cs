using System.Text;
using MailPipeline.Authentication.Dkim;
using MailPipeline.Mail;
using MailPipeline.Queue.Reports;
using MailPipeline.Smtp;
using MailPipeline.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using MimeKit;

namespace MailPipeline.Queue.Tests;

/// <summary>How a report is written: what programs read of it, octet by octet, and what people do.</summary>
public sealed class ReportFormTests
{
    private static readonly string s_longDomain = string.Join('.', Enumerable.Repeat(new string('d', 40), 3)) + ".example.net";
    private static readonly string s_longName = new('n', 64);

    /// <summary>RFC 2047 §5, RFC 3464 §2.1.2.</summary>
    [Fact]
    public void Long_names_and_addresses_are_folded_and_never_encoded()
    {
        var text = Report("Subject: test\r\n", $"{s_longName}@{s_longDomain}", $"sales.{s_longName}@{s_longDomain}", s_longDomain);

        Assert.DoesNotContain("=?", text, StringComparison.Ordinal);
        Assert.Contains($"\r\nReporting-MTA: dns;\r\n {s_longDomain}\r\n", text, StringComparison.Ordinal);
        Assert.Contains($"\r\nOriginal-Recipient: rfc822;\r\n sales.{s_longName}@{s_longDomain}\r\n", text, StringComparison.Ordinal);
        Assert.Contains($"\r\nFinal-Recipient: rfc822;\r\n {s_longName}@{s_longDomain}\r\n", text, StringComparison.Ordinal);
        Assert.Contains($"\r\nRemote-MTA: dns;\r\n {s_longDomain}\r\n", text, StringComparison.Ordinal);
        var status = Load(text).OfType<MessageDeliveryStatus>().Single();
        Assert.EndsWith($"{s_longName}@{s_longDomain}", status.StatusGroups[1]["Final-Recipient"], StringComparison.Ordinal);
    }

    /// <summary>RFC 6533 §3: in seven bits, and back to the same address.</summary>
    [Fact]
    public void An_address_that_is_not_ASCII_is_of_the_type_for_it() =>
        Assert.Contains(
            "\r\nFinal-Recipient: utf-8; j\\x{F6}rg\\x{2B}x@example.net\r\n", Report("Subject: test\r\n", "jörg+x@example.net"), StringComparison.Ordinal);

    [Fact]
    public void The_header_of_the_original_comes_back_as_it_was_where_it_needs_seven_bits()
    {
        var header = "Subject: test\r\nX-Long: " + new string('x', 900) + "\r\n";
        Assert.Contains($"\r\n\r\n{header}", Report(header), StringComparison.Ordinal);
    }

    [Fact]
    public void The_header_of_the_original_is_quoted_printable_where_it_needs_eight_bits()
    {
        const string Header = "Subject: größer = größer\r\nX-Plain: as it is\r\n";
        var text = Report(Header);
        Assert.DoesNotContain("base64", text, StringComparison.Ordinal);
        Assert.Contains("\r\nX-Plain: as it is\r\n", text, StringComparison.Ordinal);
        var returned = Load(text).OfType<TextPart>().Last();
        Assert.Equal(ContentEncoding.QuotedPrintable, returned.ContentTransferEncoding);
        using var decoded = new MemoryStream();
        returned.Content!.DecodeTo(decoded);
        Assert.Equal(Header, Encoding.UTF8.GetString(decoded.ToArray()));
    }

    [Theory]
    [InlineData("Subject: Lunch on Friday\r\n", "\"Lunch on Friday\"")]
    [InlineData("Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n", "\"Grüße\"")]
    [InlineData("Subject: =?utf-8?q?Your_bank=E2=80=AEx?=\r\n", "\"Your bank?x\"")]
    [InlineData("Subject: =?utf-8?q?Hi=0D=0ABcc:_thief@example.net=0D=0A=0D=0Aa_body?=\r\n", "\"HiBcc: thief@example.neta body\"")]
    [InlineData("Subject: Hi\r\n Bcc: thief@example.net\r\n", "\"Hi Bcc: thief@example.net\"")]
    public void The_text_says_the_subject_of_the_original_made_harmless(string header, string expected) =>
        Assert.Equal($"  {expected},", Assert.IsType<TextPart>(Load(Report(header))[0]).Text.ReplaceLineEndings("\n").Split('\n')[4]);

    [Theory]
    [InlineData("")]
    [InlineData("no field at all")]
    [InlineData("X-Other: 1\r\n")]
    public void A_header_without_a_subject_does_without(string header) =>
        Assert.Matches(@"Your message of [^\r\n""]* could not be delivered to:", Assert.IsType<TextPart>(Load(Report(header))[0]).Text);

    /// <summary>RFC 5321 §4.1.3, RFC 3464 §2.2.2: what a machine without a full name calls itself.</summary>
    [Theory]
    [InlineData("[192.0.2.5]")]
    [InlineData("[IPv6:2001:db8::5]")]
    public void A_system_that_has_an_address_for_a_name_signs_with_it(string hostname)
    {
        var text = Report("Subject: test\r\n", hostname: hostname);
        Assert.Contains($"\r\nReporting-MTA: dns; {hostname}\r\n", text, StringComparison.Ordinal);
        Assert.Matches($@"\r\nMessage-Id: <[0-9a-f.A-F]+\.dsn@{System.Text.RegularExpressions.Regex.Escape(hostname)}>\r\n", text);
        var from = Assert.Single(MimeMessage.Load(new MemoryStream(Encoding.UTF8.GetBytes(text))).From.Mailboxes);
        Assert.Equal($"MAILER-DAEMON@{hostname}", from.Address);
    }

    /// <summary>Another reader than the one whose library wrote it.</summary>
    [Fact]
    public async Task Python_reads_what_programs_and_people_are_told()
    {
        var report = Report(
            "Subject: =?utf-8?q?Hi=0D=0ABcc:_thief@example.net?=\r\nX-Name: größer\r\n", $"{s_longName}@{s_longDomain}", "sales@example.org", s_longDomain);
        var read = await ServerProcess.RunAsync(
            DebianProgram.Find("python3", "python3"),
            [
                "-c",
                """
                import email, email.policy, sys
                message = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
                print(*sorted(name.lower() for name in message.keys() if name.lower() != "mime-version"))
                print(message.get_content_type(), message.get_param("report-type"), message["from"], message["to"], len(message.defects))
                text, status, header = message.iter_parts()
                print(text.get_content_type(), '"HiBcc: thief@example.net"' in text.get_content())
                for group in status.get_payload():
                    for name, value in group.items():
                        print(name + "=" + str(value).split(";")[-1].strip()) if name.endswith(("Recipient", "MTA")) else None
                print(header.get_content_type(), header.get_payload(decode=True).decode().splitlines()[1])
                """,
            ],
            input: report, cancellation: TestContext.Current.CancellationToken);
        Assert.Equal(
            $"""
            auto-submitted content-type date from message-id subject to
            multipart/report delivery-status Mail Delivery System <MAILER-DAEMON@{s_longDomain}> sender@example.org 0
            text/plain True
            Reporting-MTA={s_longDomain}
            Original-Recipient=sales@example.org
            Final-Recipient={s_longName}@{s_longDomain}
            Remote-MTA={s_longDomain}
            text/rfc822-headers X-Name: größer
            """.ReplaceLineEndings(),
            read.ReplaceLineEndings().TrimEnd());
    }
    /// <summary>RFC 6533 §4: to who has such an address himself, addresses are said as they are, and the report needs SMTPUTF8 on its way.</summary>
    [Fact]
    public async Task A_report_to_an_address_in_UTF8_is_in_UTF8()
    {
        var report = Compose(
            "Subject: größer\r\nFrom: jos\u00e9@example.org\r\n", "j\u00f6rg@xn--bcher-kva.example", sender: "jos\u00e9@example.org", original: "",
            originalRecipient: "utf-8;j\\x{F6}rg\\x{2B}x@example.net", body: BodyType.SmtpUtf8);

        Assert.Equal(BodyType.SmtpUtf8 | BodyType.EightBitMime, report.Message.Body);
        Assert.Equal(["jos\u00e9@example.org"], report.Message.Recipients);
        var text = Encoding.UTF8.GetString(report.Content);
        Assert.Contains("\r\nTo: jos\u00e9@example.org\r\n", text, StringComparison.Ordinal);
        Assert.Contains("\r\nContent-Type: message/global-delivery-status\r\n", text, StringComparison.Ordinal);
        Assert.Contains("\r\nOriginal-Recipient: utf-8; j\u00f6rg+x@example.net\r\nFinal-Recipient: utf-8; j\u00f6rg@xn--bcher-kva.example\r\n", text, StringComparison.Ordinal);
        Assert.Contains("\r\nContent-Type: message/global-headers\r\n", text, StringComparison.Ordinal);
        Assert.Contains("\r\n\r\nSubject: größer\r\nFrom: jos\u00e9@example.org\r\n", text, StringComparison.Ordinal);
        Assert.Contains("<j\u00f6rg@b\u00fccher.example>", Assert.IsType<TextPart>(Load(text)[0]).Text, StringComparison.Ordinal);
        var read = await ServerProcess.RunAsync(
            DebianProgram.Find("python3", "python3"),
            [
                "-c",
                """
                import email, email.policy, sys
                message = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.SMTPUTF8)
                print(message["to"], message.get_param("report-type"), *(part.get_content_type() for part in message.iter_parts()))
                """,
            ],
            input: text, cancellation: TestContext.Current.CancellationToken);
        Assert.Equal("jos\u00e9@example.org delivery-status text/plain message/global-delivery-status message/global-headers", read.TrimEnd());
    }

    /// <summary>RFC 6533 §4.5: nobody knows whether the hosts on the way back of an ASCII address have SMTPUTF8.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_report_to_an_ASCII_address_about_a_message_in_UTF8_passes_every_host(bool isWhole)
    {
        const string Header = "Subject: größer\r\n";
        var report = Compose(Header, "j\u00f6rg@example.net", body: BodyType.SmtpUtf8, whole: isWhole ? Header + "\r\nText\r\n" : null);

        Assert.Equal(BodyType.SevenBit, report.Message.Body);
        var text = Encoding.UTF8.GetString(report.Content);
        Assert.True(Ascii.IsValid(text), text);
        Assert.Contains("\r\nContent-Type: message/delivery-status\r\n", text, StringComparison.Ordinal);
        Assert.Contains("\r\nFinal-Recipient: utf-8; j\\x{F6}rg@example.net\r\n", text, StringComparison.Ordinal);
        Assert.Contains($"\r\nContent-Type: message/{(isWhole ? "global" : "global-headers")}\r\n", text, StringComparison.Ordinal);
        Assert.DoesNotContain("größer", text, StringComparison.Ordinal);
    }

    /// <summary>What an address or an ORCPT holds never ends a line of the report.</summary>
    [Fact]
    public void No_address_writes_a_field_of_its_own()
    {
        var text = Encoding.UTF8.GetString(Compose(
            "Subject: x\r\n", "j\u00f6\u2028\u0085\r\nAction: delivered\r\nrg@example.net", sender: "jos\u00e9\u2028\r\nBcc: thief@example.net@example.org", body: BodyType.SmtpUtf8).Content);
        Assert.DoesNotContain("\nAction: delivered", text, StringComparison.Ordinal);
        Assert.DoesNotContain("\nBcc:", text, StringComparison.Ordinal);
        Assert.DoesNotContain('\u2028', text.Split("message/global-delivery-status")[1]);
    }

    /// <summary>By the domain of this host, or the nearest above it that has keys; one signature for each.</summary>
    [Fact]
    public void A_report_is_signed_where_a_domain_of_its_host_has_keys()
    {
        using var folder = new TempFolder("dkim");
        var keys = new KeyFolder(folder.FullPath);
        keys.Create("example.org", "r", DkimKeyKind.Rsa);
        keys.Create("example.org", "e", DkimKeyKind.Ed25519);
        var composed = Compose("Subject: x\r\n", hostname: "mx.deep.example.org", keyFolder: folder.FullPath);
        Assert.Equal(composed.Content.Length, composed.Message.SizeBytes);
        var report = MimeMessage.Load(new MemoryStream(composed.Content));
        Assert.Equal(2, report.Headers.Count(header => header.Id == HeaderId.DkimSignature));
        Assert.All(report.Headers.Where(header => header.Id == HeaderId.DkimSignature), header => Assert.Contains("d=example.org;", header.Value, StringComparison.Ordinal));
        Assert.DoesNotContain("DKIM-Signature", Encoding.UTF8.GetString(Compose("Subject: x\r\n", hostname: "mx.example.net", keyFolder: folder.FullPath).Content), StringComparison.Ordinal);
    }

    private static string Report(
        string header, string address = "a@example.net", string original = "", string remote = "mx.example.net", string? hostname = null)
    {
        var content = Encoding.UTF8.GetString(Compose(header, address, original: original, remote: remote, hostname: hostname).Content);
        Assert.True(Ascii.IsValid(content), content);
        return content;
    }

    private static ComposedMessage Compose(
        string header, string address = "a@example.net", string sender = "sender@example.org", string original = "", string remote = "mx.example.net",
        string? hostname = null, string originalRecipient = "", BodyType body = BodyType.SevenBit, string? whole = null, string keyFolder = "")
    {
        var now = TimeProvider.System.GetUtcNow();
        var notification = new DeliveryStatusNotification(Options.Create(new QueueOptions { HostName = hostname ?? s_longDomain }), new OwnSignature(Keys(keyFolder), TimeProvider.System), TimeProvider.System);
        var frame = new ReportFrame(
            2, new ReportedMessage(1, sender, now, "", 1, MailDsn.None, body),
            new ReturnedContent(Encoding.UTF8.GetBytes(header), whole is null ? null : Encoding.UTF8.GetBytes(whole)));
        var result = new AttemptResult(RecipientIds.Of(1, 1), AttemptOutcome.Failed, "5.1.1", "550 5.1.1 no such user", $"{remote}[192.0.2.1]:25", now, now);
        return notification.Compose(
            ReportKind.Failed, frame,
            [ReportedRecipient.Of(new UnreportedFailure(address, original, RecipientState.Bounced, WasTried: true, result, originalRecipient))]);
    }

    private static SigningKeys Keys(string folder) =>
        new(Options.Create(new DkimOptions { KeyFolder = folder }), TimeProvider.System, NullLogger<SigningKeys>.Instance);

    private static MultipartReport Load(string text) =>
        Assert.IsType<MultipartReport>(MimeMessage.Load(new MemoryStream(Encoding.UTF8.GetBytes(text))).Body);
}
