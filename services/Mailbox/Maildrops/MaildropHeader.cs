using MailPipeline.Mail;

namespace MailPipeline.Mailbox.Maildrops;

/// <summary>The lines put before a message at final delivery; nothing else of it changes.</summary>
internal static class MaildropHeader
{
    /// <summary>
    /// Return-Path keeps the envelope sender, which is "&lt;&gt;" for the null sender (RFC 5321 §4.4); Delivered-To keeps the
    /// address it was delivered for (RFC 9228 §3).
    /// </summary>
    public static string For(Recipient recipient) =>
        $"Return-Path: <{OneLine(recipient.Sender)}>\r\nDelivered-To: {OneLine(recipient.Address)}\r\n";

    // No address that was accepted holds a line end. One that did would write headers of its own.
    private static string OneLine(string address) =>
        address.AsSpan().ContainsAny('\r', '\n', '\0') ? string.Concat(address.Where(c => !char.IsControl(c))) : address;
}
