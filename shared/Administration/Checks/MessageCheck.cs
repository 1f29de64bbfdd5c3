using System.Buffers;
using MailPipeline.Authentication;
using MailPipeline.Authentication.Dmarc;
using MailPipeline.Dns;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Administration;

/// <summary>How a listener is set up that would judge a message.</summary>
/// <param name="AuthServId">Who says so in the field.</param>
/// <param name="Suffixes">The list in use.</param>
public sealed record MessageCheckSettings(string AuthServId, DmarcDiscoveryMode Discovery, PublicSuffixList Suffixes);

/// <summary>Judges a message as a listener does that takes it from a stranger, and says how it came to what it says.</summary>
public sealed class MessageCheck(IDnsLookup dns, SenderCheck senders, TimeProvider time)
{
    private const int PieceBytes = 64 * 1024;

    /// <param name="file">The message as it came, with the line ends of the wire or with bare line feeds.</param>
    /// <param name="client">The client's address.</param>
    /// <param name="helo">What it greets with.</param>
    /// <param name="from">The sender of the envelope; empty or "&lt;&gt;" for the null path.</param>
    /// <returns><see cref="MessageChecked"/>, or why not.</returns>
    public async Task<CheckResult> CheckAsync(
        string file, string client, string helo, string from, MessageCheckSettings settings, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(settings);
        if (!HostAddress.TryParseLiteral(client, out var address))
            return new CheckMistyped(CheckedThing.Client, client);
        if (!SenderCheck.TryReadSender(from, out var sender))
            return new CheckMistyped(CheckedThing.Sender, from);
        using var content = new SignedContent(new VerificationLimits());
        try
        {
            await ReadAsync(file, content, cancellation);
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            return new FileUnusable(file, unreadable.Message.TrimEnd('.'));
        }

        var spf = await senders.CheckAsync(address, helo, sender, cancellation);
        var signatures = await content.VerifyAsync(dns, time.GetUtcNow(), cancellation);
        var arc = await content.VerifyArcAsync(dns, time.GetUtcNow(), cancellation);
        var authors = AuthorDomains.Of(content.Header ?? MessageHeader.Parse());
        var dmarcSteps = new List<string>();
        var dmarc = await new DmarcCheck(dns, settings.Discovery, () => settings.Suffixes, new Random())
            .CheckAsync(authors, spf.MailFrom, signatures, dmarcSteps, cancellation);
        cancellation.ThrowIfCancellationRequested();
        var results = new MessageResults(sender?.Text ?? "", spf.MailFrom, spf.Helo, signatures, arc, dmarc);
        return new MessageChecked(results, results.ToField(settings.AuthServId), spf, content.UnjudgedSignatures, authors, dmarcSteps);
    }

    /// <summary>A file may have bare line feeds: on the wire lines end in CRLF, and so they are signed.</summary>
    private static async Task ReadAsync(string file, SignedContent content, CancellationToken cancellation)
    {
        await using var stream = File.OpenRead(file);
        var piece = new byte[PieceBytes];
        var lines = new ArrayBufferWriter<byte>(PieceBytes);
        byte last = 0;
        for (int length; (length = await stream.ReadAsync(piece, cancellation)) > 0;)
        {
            lines.ResetWrittenCount();
            foreach (var octet in piece.AsSpan(0, length))
            {
                if (octet == '\n' && last != '\r')
                    lines.Write("\r"u8);
                lines.Write([octet]);
                last = octet;
            }

            content.Take(lines.WrittenSpan);
        }

        content.End();
    }
}
