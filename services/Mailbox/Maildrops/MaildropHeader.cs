using System.Text;
using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Mailbox.Maildrops;

/// <summary>The lines put before a message at final delivery; nothing else of it changes.</summary>
internal static class MaildropHeader
{
    /// <summary>
    /// Return-Path keeps the envelope sender, which is "&lt;&gt;" for the null sender (RFC 5321 §4.4); Delivered-To keeps the
    /// address it was delivered for (RFC 9228 §3). An address in UTF-8 is left out of a message that is ASCII but for it: Delivered-To says
    /// nothing that must be there, and would keep the message from clients without UTF8 (RFC 6856 §2.1). No address that was accepted holds a
    /// line end; one that did would write headers of its own.
    /// </summary>
    public static string For(Recipient recipient)
    {
        var returnPath = $"Return-Path: <{PlainText.Of(recipient.Sender)}>\r\n";
        var isUtf8 = recipient.Body.HasFlag(BodyType.SmtpUtf8) || !Ascii.IsValid(recipient.Sender);
        return isUtf8 || Ascii.IsValid(recipient.Address) ? $"{returnPath}Delivered-To: {PlainText.Of(recipient.Address)}\r\n" : returnPath;
    }
}
