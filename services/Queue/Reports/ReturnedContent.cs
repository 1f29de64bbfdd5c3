using System.Buffers;
using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Queue.Reports;

/// <summary>What of a message comes back with a report about it.</summary>
/// <param name="Header">Its header section, at most <see cref="MaxHeaderBytes"/>.</param>
/// <param name="Whole">All of it, as it was received; null where its header alone comes back.</param>
internal sealed record ReturnedContent(byte[] Header, byte[]? Whole = null)
{
    public const int MaxHeaderBytes = 64 * 1024;

    /// <summary>
    /// Reads it of a stored message: all of it where a report of failure has to return it (RFC 3461 §4.3, RET=FULL) and it is not longer than
    /// <paramref name="mostBytes"/>; else its header, up to the empty line.
    /// </summary>
    public static async Task<ReturnedContent> ReadAsync(
        MessageStore store, ReportedMessage message, ReportKind kind, long mostBytes, CancellationToken cancellationToken)
    {
        var isWhole = kind == ReportKind.Failed && message.Dsn.Return == DsnReturn.Full && message.SizeBytes <= mostBytes;
        var most = isWhole ? (int)message.SizeBytes : MaxHeaderBytes;
        var read = new ArrayBufferWriter<byte>();
        await foreach (var chunk in store.ReadContentAsync(message.MessageId, cancellationToken))
        {
            read.Write(chunk.Span[..Math.Min(chunk.Length, most - read.WrittenCount)]);
            if (read.WrittenCount == most || (!isWhole && read.WrittenSpan.IndexOf("\r\n\r\n"u8) >= 0))
                break;
        }
        var bytes = read.WrittenSpan;
        var end = bytes.IndexOf("\r\n\r\n"u8);
        var header = bytes[..Math.Min(end >= 0 ? end + 2 : bytes.Length, MaxHeaderBytes)].ToArray();
        return new ReturnedContent(header, isWhole && bytes.Length == message.SizeBytes ? bytes.ToArray() : null);
    }
}
