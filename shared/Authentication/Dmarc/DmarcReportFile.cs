using System.Diagnostics.CodeAnalysis;
using System.IO.Compression;
using System.Xml;
using MailPipeline.Smtp;
using MimeKit;

namespace MailPipeline.Authentication.Dmarc;

/// <summary>
/// Finds and reads the report in what a stranger sent: a message with it attached, or the attachment alone, as XML, under gzip or in a zip archive. What it is
/// its first octets say, and not its name or its type, which many get wrong. Time and memory are bounded, whatever is in it.
/// </summary>
public static class DmarcReportFile
{
    /// <summary>Of a message; of what is attached, half of it.</summary>
    public const int MaxBytes = 8 * 1024 * 1024;

    private const int MaxAttachedBytes = MaxBytes / 2;

    private const int MostEntries = 16;

    /// <summary>Each may begin a part, which costs the parser some kilobytes.</summary>
    private const int MostBoundaries = 100;

    /// <summary>Each may be a field of a header.</summary>
    private const int MostLines = 200_000;

    private static readonly ParserOptions s_options = new() { MaxMimeDepth = 10 };

    /// <summary>False, and why in words: there is no report in it, or none that can be read.</summary>
    /// <param name="octets">All of it, up to <see cref="MaxBytes"/>.</param>
    public static bool TryRead(ReadOnlyMemory<byte> octets, [NotNullWhen(true)] out DmarcReport? report, out string fault)
    {
        report = null;
        if (octets.Length is 0 or > MaxBytes)
        {
            fault = octets.IsEmpty ? "it is empty" : $"it has more than {MaxBytes} octets";
            return false;
        }

        try
        {
            report = IsReport(octets.Span) ? ReadAttached(octets) : ReadMessage(octets);
            fault = report is null ? "nothing in it is XML, gzip or zip" : "";
            return report is not null;
        }
        catch (Exception error) when (IsUnreadable(error))
        {
            fault = PlainText.Line(error.Message, 300);
            return false;
        }
    }

    private static DmarcReport? ReadMessage(ReadOnlyMemory<byte> octets)
    {
        if (Count(octets.Span, "\n--"u8, MostBoundaries) > MostBoundaries || Count(octets.Span, "\n"u8, MostLines) > MostLines)
            throw new InvalidDataException($"it has more than {MostBoundaries} parts or {MostLines} lines");
        using var stream = new MemoryStream(octets.ToArray(), writable: false);
        using var message = Load(stream);
        Exception? first = null;
        foreach (var part in message.BodyParts.OfType<MimePart>())
        {
            // What people are told of it.
            if (part.Content is null || (part is TextPart && part.FileName is null && part.ContentType.MediaSubtype is "plain" or "html"))
                continue;
            using var content = new MemoryStream();
            // Decoded it is never longer than it came.
            part.Content.DecodeTo(content);
            var attached = content.GetBuffer().AsMemory(0, (int)content.Length);
            if (!IsReport(attached.Span))
                continue;
            try
            {
                return ReadAttached(attached);
            }
            catch (Exception error) when (IsUnreadable(error))
            {
                // A signature or a picture may be XML or an archive too.
                first ??= error;
            }
        }

        return first is null ? null : throw first;
    }

    private static MimeMessage Load(Stream stream)
    {
        try
        {
            return MimeMessage.Load(s_options, stream);
        }
        catch (FormatException)
        {
            throw new InvalidDataException("it is no message, and not XML, gzip or zip");
        }
    }

    private static bool IsUnreadable(Exception error) =>
        error is XmlException or InvalidDataException or FormatException or IOException or NotSupportedException or ArgumentException;

    private static DmarcReport ReadAttached(ReadOnlyMemory<byte> octets)
    {
        if (octets.Length > MaxAttachedBytes && !IsXml(octets.Span))
            throw new InvalidDataException($"what is attached has more than {MaxAttachedBytes} octets");
        using var stream = new MemoryStream(octets.ToArray(), writable: false);
        if (IsGzip(octets.Span))
        {
            using var gzip = new GZipStream(stream, CompressionMode.Decompress);
            return Read(gzip);
        }

        if (!IsZip(octets.Span))
            return Read(stream);
        using var archive = new ZipArchive(stream, ZipArchiveMode.Read);
        if (archive.Entries.Count is 0 or > MostEntries)
            throw new InvalidDataException($"the archive has {archive.Entries.Count} files, and a report is 1 of up to {MostEntries}");
        using var entry = (archive.Entries.FirstOrDefault(entry => entry.Name.EndsWith(".xml", StringComparison.OrdinalIgnoreCase)) ?? archive.Entries[0]).Open();
        return Read(entry);
    }

    private static DmarcReport Read(Stream stream)
    {
        using var document = new BoundedDocument(stream);
        return DmarcReportReader.Read(document);
    }

    private static bool IsReport(ReadOnlySpan<byte> octets) => IsGzip(octets) || IsZip(octets) || IsXml(octets);

    private static bool IsGzip(ReadOnlySpan<byte> octets) => octets is [0x1F, 0x8B, ..];

    private static bool IsZip(ReadOnlySpan<byte> octets) => octets.StartsWith("PK\x03\x04"u8);

    // Behind a mark of the encoding there may be, and white space, though XML forbids that before its declaration.
    private static bool IsXml(ReadOnlySpan<byte> octets) => (octets.TrimStart("\uFEFF"u8) is var text && text.TrimStart(" \t\r\n"u8) is [(byte)'<', ..])
        || octets is [0xFE, 0xFF, 0, (byte)'<', ..] or [0xFF, 0xFE, (byte)'<', 0, ..];

    private static int Count(ReadOnlySpan<byte> octets, ReadOnlySpan<byte> sought, int most)
    {
        var count = 0;
        for (var at = octets.IndexOf(sought); at >= 0 && count <= most; at = octets.IndexOf(sought))
        {
            count++;
            octets = octets[(at + sought.Length)..];
        }

        return count;
    }
}
