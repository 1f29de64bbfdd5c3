using System.Text;
using CsCheck;

namespace MailPipeline.Smtp.Tests;

/// <summary>The parameters about reports: what is taken of them, and what it becomes (RFC 3461 §4, RFC 6533 §3).</summary>
public sealed class DsnSyntaxTests
{
    [Theory]
    [InlineData("NEVER", DsnNotify.Never)]
    [InlineData("success", DsnNotify.Success)]
    [InlineData("FAILURE,DELAY", DsnNotify.Failure | DsnNotify.Delay)]
    [InlineData("DELAY,SUCCESS,FAILURE", DsnNotify.Success | DsnNotify.Failure | DsnNotify.Delay)]
    [InlineData("", null)]
    [InlineData("NEVER,FAILURE", null)]
    [InlineData("FAILURE,NEVER", null)]
    [InlineData("NEVER,NEVER", null)]
    [InlineData("SUCCESS,SUCCESS", null)]
    [InlineData("SUCCESS,", null)]
    [InlineData(",SUCCESS", null)]
    [InlineData("ALWAYS", null)]
    public void Notify(string value, DsnNotify? expected)
    {
        Assert.Equal(expected is not null, DsnSyntax.TryReadNotify(Encoding.ASCII.GetBytes(value), out var notify));
        if (expected is not null)
            Assert.Equal(expected, notify);
    }

    [Theory]
    [InlineData("QQ314159", "QQ314159")]
    [InlineData("a+2Bb+3Dc+20d", "a+b=c d")]
    [InlineData("", null)]
    [InlineData("a=b", null)]
    [InlineData("a+2bc", null)]
    [InlineData("a+2", null)]
    [InlineData("a+", null)]
    [InlineData("a+0D+0ABcc:+20thief@example.net", null)]
    [InlineData("a+00", null)]
    [InlineData("a+09", null)]
    [InlineData("a+7F", null)]
    [InlineData("a+C3+A9", null)]
    [InlineData("é", null)]
    public void EnvelopeId(string value, string? expected)
    {
        Assert.Equal(expected is not null, DsnSyntax.TryReadEnvelopeId(Encoding.UTF8.GetBytes(value), out var id));
        if (expected is not null)
            Assert.Equal(expected, new MailDsn(DsnReturn.Unsaid, id).EnvelopeIdText);
    }

    [Theory]
    [InlineData(100, true)]
    [InlineData(101, false)]
    public void An_envelope_id_has_a_bound(int length, bool isTaken) =>
        Assert.Equal(isTaken, DsnSyntax.TryReadEnvelopeId(Encoding.ASCII.GetBytes(new string('x', length)), out _));

    [Theory]
    [InlineData("rfc822;Bob@Example.COM", "rfc822", "Bob@Example.COM", false)]
    [InlineData("RFC822;bob+2Bwork@example.com", "RFC822", "bob+work@example.com", false)]
    [InlineData("x400;/C=us/", null, null, false)]
    [InlineData("x400;/C+3Dus/", "x400", "/C=us/", false)]
    [InlineData("utf-8;j\\x{F6}rg@example.net", "utf-8", "j\\x{F6}rg@example.net", false)]
    [InlineData("utf-8;jörg@example.net", "utf-8", "j\\x{F6}rg@example.net", true)]
    [InlineData("utf-8;\\x{1F4E7}@example.net", "utf-8", "\\x{1F4E7}@example.net", false)]
    [InlineData("utf-8;a\\x{2B}b@example.net", "utf-8", "a\\x{2B}b@example.net", false)]
    [InlineData("utf-8;a+2Bb@example.net", null, null, false)]
    [InlineData("utf-8;a=b@example.net", null, null, false)]
    [InlineData("utf-8;a\\x{0D}\\x{0A}Bcc:x@example.net", null, null, false)]
    [InlineData("utf-8;a\\x{00}@example.net", null, null, false)]
    [InlineData("utf-8;a\\x{85}@example.net", null, null, false)]
    [InlineData("utf-8;a\\x{2028}@example.net", null, null, false)]
    [InlineData("utf-8;a\\x{202E}@example.net", null, null, false)]
    [InlineData("utf-8;a\\x{D800}@example.net", null, null, false)]
    [InlineData("utf-8;a\\x{110000}@example.net", null, null, false)]
    [InlineData("utf-8;a\\x{f6}@example.net", null, null, false)]
    [InlineData("utf-8;a\\x{}@example.net", null, null, false)]
    [InlineData("utf-8;a\\x{F6@example.net", null, null, false)]
    [InlineData("utf-8;a\\y@example.net", null, null, false)]
    [InlineData("rfc822;a+0D+0ABcc:x@example.net", null, null, false)]
    [InlineData("rfc822;a+00@example.net", null, null, false)]
    [InlineData("rfc822;jörg@example.net", null, null, false)]
    // Postfix, where it relays a message with SMTPUTF8.
    [InlineData("rfc822;+C5+BEofie+2Bx@example.net", "utf-8", "\\x{17E}ofie\\x{2B}x@example.net", false)]
    [InlineData("rfc822;+C5ofie@example.net", null, null, false)]
    [InlineData("rfc822;+C5+BEofie+0D+0ABcc:x@example.net", null, null, false)]
    [InlineData("rfc822;+C0+8D+C0+8A@example.net", null, null, false)]
    [InlineData("rfc822;a+E2+80+A8b@example.net", null, null, false)]
    [InlineData("x400;+C5+BE", null, null, false)]
    [InlineData("rfc822;", null, null, false)]
    [InlineData(";bob@example.com", null, null, false)]
    [InlineData("bob@example.com", null, null, false)]
    [InlineData("rfc 822;bob@example.com", null, null, false)]
    [InlineData("", null, null, false)]
    public void OriginalRecipient(string value, string? type, string? address, bool needsSmtpUtf8)
    {
        var refusal = DsnSyntax.ReadOriginalRecipient(Encoding.UTF8.GetBytes(value), out var kept, out var needs);
        Assert.Equal(type is null, refusal is not null);
        if (type is null)
        {
            Assert.StartsWith("501 5.5.4 ORCPT", refusal!.ToString(), StringComparison.Ordinal);
            return;
        }
        Assert.Equal((type, address!), RcptDsn.Split(kept));
        Assert.Equal(needsSmtpUtf8, needs);
        Assert.True(Ascii.IsValid(kept), kept);
        // What is kept is taken by the next hop, and means the same.
        Assert.Null(DsnSyntax.ReadOriginalRecipient(Encoding.ASCII.GetBytes(kept), out var again, out _));
        Assert.Equal(kept, again);
    }

    [Theory]
    [InlineData("rfc822;", "x", 493, true)]
    [InlineData("rfc822;", "x", 494, false)]
    // Each becomes six characters, and is handed on as that.
    [InlineData("utf-8;", "ö", 82, true)]
    [InlineData("utf-8;", "ö", 83, false)]
    public void An_original_recipient_has_a_bound(string type, string character, int count, bool isTaken) =>
        Assert.Equal(
            isTaken ? null : Replies.C501OrcptTooLong,
            DsnSyntax.ReadOriginalRecipient(Encoding.UTF8.GetBytes(type + string.Concat(Enumerable.Repeat(character, count))), out _, out _));

    [Fact]
    public void What_is_written_is_read_back()
    {
        var id = Gen.String[Gen.Char[' ', '~'], 1, 30].Select(text => Xtext.Encode(text)).Where(text => text.Length <= 100);
        Gen.Select(Gen.OneOfConst(DsnReturn.Unsaid, DsnReturn.Full, DsnReturn.Headers), Gen.OneOf(Gen.Const(""), id))
            .Select((part, text) => new MailDsn(part, text)).Sample(dsn => MailDsn.Parse(dsn.ToString()) == dsn);
        var notify = Gen.OneOf(Gen.Const(DsnNotify.Never), Gen.Int[0, 7].Select(bits => (DsnNotify)(bits << 1)));
        var address = Gen.String[Gen.Char.Where(c => !char.IsControl(c) && !char.IsSurrogate(c) && char.GetUnicodeCategory(c) is not
            (System.Globalization.UnicodeCategory.Format or System.Globalization.UnicodeCategory.LineSeparator
                or System.Globalization.UnicodeCategory.ParagraphSeparator or System.Globalization.UnicodeCategory.OtherNotAssigned)), 1, 40];
        Gen.Select(notify, Gen.OneOf(Gen.Const(""), address.Select(text => RcptDsn.OriginalRecipientOf(text))))
            .Select((flags, text) => new RcptDsn(flags, text)).Sample(dsn => RcptDsn.Parse(dsn.ToString()) == dsn);
    }

    /// <summary>Whatever a client sends: what is taken ends no line and hides nothing.</summary>
    [Fact]
    public void What_is_taken_is_printable_also_when_it_is_decoded() =>
        Gen.Select(Gen.Byte.Array[0, 60], Gen.OneOfConst("rfc822;", "utf-8;", "")).Sample((bytes, type) =>
        {
            byte[] value = [.. Encoding.ASCII.GetBytes(type), .. bytes.Select(b => b % 4 == 0 ? (byte)'+' : b % 4 == 1 ? "0123456789ABCDEF"u8[b / 16] : b)];
            if (DsnSyntax.ReadOriginalRecipient(value, out var kept, out _) is null)
                Assert.All(kept + RcptDsn.Split(kept).Address, character => Assert.InRange(character, ' ', '~'));
            if (DsnSyntax.TryReadEnvelopeId(value, out var id))
                Assert.All(id + new MailDsn(DsnReturn.Unsaid, id).EnvelopeIdText, character => Assert.InRange(character, ' ', '~'));
        });

    [Theory]
    [InlineData("MAIL FROM:<a@example.net> RET=HDRS RET=HDRS", "501 5.5.4 RET is FULL or HDRS")]
    [InlineData("MAIL FROM:<a@example.net> RET", "501 5.5.4 RET is FULL or HDRS")]
    [InlineData("MAIL FROM:<a@example.net> ENVID=a ENVID=a", "501 5.5.4 ENVID is up to 100 characters of xtext, all of it printable")]
    [InlineData("MAIL FROM:<a@example.net> ENVID=a+0D+0ABcc:+20x", "501 5.5.4 ENVID is up to 100 characters of xtext, all of it printable")]
    [InlineData("RCPT TO:<b@example.com> NOTIFY=DELAY NOTIFY=DELAY", "501 5.5.4 NOTIFY is NEVER alone, or some of SUCCESS, FAILURE and DELAY, each once")]
    [InlineData("RCPT TO:<b@example.com> ORCPT=rfc822;b ORCPT=rfc822;b", "501 5.5.4 ORCPT is a type, a semicolon and an address in xtext, all of it printable")]
    [InlineData("RCPT TO:<b@example.com> RET=FULL", "555 5.5.4 Parameter not recognized")]
    public void A_command_is_refused_with_what_was_wrong(string command, string reply)
    {
        var session = new SmtpSession(new SmtpProfile { HostName = "mx.example.com" });
        session.Read("EHLO client.example.net"u8);
        if (command.StartsWith("RCPT", StringComparison.Ordinal))
        {
            session.Read("MAIL FROM:<a@example.net>"u8);
            session.Answer(null);
        }
        Assert.Equal(reply, session.Read(Encoding.UTF8.GetBytes(command)).Reply!.ToString());
    }

    [Fact]
    public void A_transaction_keeps_what_was_said_of_each_recipient_that_was_accepted()
    {
        var session = new SmtpSession(new SmtpProfile { HostName = "mx.example.com" });
        session.Read("EHLO client.example.net"u8);
        session.Read("MAIL FROM:<a@example.net> RET=HDRS ENVID=QQ1"u8);
        session.Answer(null);
        session.Read("RCPT TO:<b@example.com>"u8);
        session.Answer(null);
        session.Read("RCPT TO:<refused@example.com> NOTIFY=NEVER"u8);
        session.Answer(Replies.C550NoSuchUser);
        session.Read("RCPT TO:<c@example.com> NOTIFY=SUCCESS ORCPT=rfc822;c@example.org"u8);
        session.Answer(null);
        session.Read("RCPT TO:<b@example.com> NOTIFY=DELAY"u8);
        session.Answer(null);

        Assert.Equal(new MailDsn(DsnReturn.Headers, "QQ1"), session.Transaction!.Dsn);
        Assert.Equal([RcptDsn.None, new(DsnNotify.Success, "rfc822;c@example.org")], session.Transaction.RecipientsDsn);
        Assert.Equal(session.Transaction.Recipients.Count, session.Transaction.RecipientsDsn!.Count);
        // RFC 6533 §3: in UTF-8 only where the message is.
        Assert.Equal(Replies.C553NeedsUtf8, session.Read("RCPT TO:<d@example.com> ORCPT=utf-8;jörg@example.net"u8).Reply);
    }
}
