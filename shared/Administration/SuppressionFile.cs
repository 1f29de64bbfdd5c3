using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Administration;

/// <summary>A line that nobody was read from.</summary>
/// <param name="Number">From 1 on.</param>
/// <param name="Typed">What is wrong in it, where that is one of its values; else empty.</param>
public sealed record BadLine(long Number, BadLineFault Fault, string Typed);

/// <summary>What is wrong with a line.</summary>
public enum BadLineFault
{
    None = 0,

    /// <summary>Longer than <see cref="SuppressionFile.MostCharacters"/>.</summary>
    TooLong,

    NotUtf8,
    NotJson,

    /// <summary>A quotation mark has no end, or something stands behind it.</summary>
    NotCsv,

    NotAnAddress,
    NotACause,

    /// <summary>Of its beginning: none that has passed.</summary>
    NotATimeThatHasPassed,

    /// <summary>Of its end.</summary>
    NotATime,
}

/// <summary>How the lines of an export are written.</summary>
public enum SuppressionFormat
{
    /// <summary>RFC 4180, with a header.</summary>
    Csv,

    /// <summary>An object of JSON in each line.</summary>
    Ndjson,
}

/// <summary>
/// Suppression lists as files, one recipient a line: CSV, with a header that names its columns or the address first and a reason behind it, or JSON.
/// Others write such files: a line is bounded, and one that makes no sense is told and passed over.
/// </summary>
public sealed class SuppressionFile(SuppressingSender sender, DateTimeOffset now)
{
    /// <summary>Lines that are told one by one; the others are counted.</summary>
    public const int MostBadLines = 1000;

    /// <summary>Of one line.</summary>
    public const int MostCharacters = BoundedLines.MostCharacters;

    private const int MostShown = 80;

    private static readonly string[] s_columns = ["address", "cause", "reason", "since", "until"];

    /// <summary>What others call the same.</summary>
    private static readonly Dictionary<string, string> s_names = new(StringComparer.OrdinalIgnoreCase)
    {
        ["address"] = "address", ["email"] = "address", ["recipient"] = "address", ["cause"] = "cause", ["reason"] = "reason", ["since"] = "since",
        ["created"] = "since", ["until"] = "until", ["expires"] = "until",
    };

    private readonly List<BadLine> _badLines = [];

    // Without a header.
    private string[] _header = ["address", "reason"];

    public IReadOnlyList<BadLine> BadLines => _badLines;

    public long Bad { get; private set; }

    /// <summary>Lines whose time is over.</summary>
    public long Over { get; private set; }

    public static string Header { get; } = string.Join(',', s_columns);

    public static string Line(Suppression one, SuppressionFormat format)
    {
        string[] values = [one.Address, JsonNamingPolicy.CamelCase.ConvertName(one.Cause.ToString()), one.Reason, Time(one.Since), one.Until is { } until ? Time(until) : "never"];
        if (format == SuppressionFormat.Csv)
            return string.Join(',', values.Select(Quote));
        using var octets = new MemoryStream();
        using (var json = new Utf8JsonWriter(octets))
        {
            json.WriteStartObject();
            foreach (var (name, value) in s_columns.Zip(values))
                json.WriteString(name, value);
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(octets.ToArray());
    }

    /// <summary>Those that the file names, as they come.</summary>
    public async IAsyncEnumerable<Suppression> ReadAsync(TextReader file, [EnumeratorCancellation] CancellationToken cancellation)
    {
        var lines = new BoundedLines(file);
        var isFirst = true;
        for (var number = 1L; await lines.NextAsync(cancellation) is { } line; number++)
        {
            if (string.IsNullOrWhiteSpace(line.Text))
                continue;
            var text = isFirst ? line.Text.TrimStart('\uFEFF') : line.Text;
            if (isFirst && ReadHeader(text))
            {
                isFirst = false;
                continue;
            }
            isFirst = false;
            if (line.IsTooLong)
                Complain(number, BadLineFault.TooLong);
            else if (Parse(text, out var read) is { Fault: not BadLineFault.None } bad)
                Complain(number, bad.Fault, bad.Typed);
            else if (read.Until is { } until && until <= now)
                Over++;
            else
                yield return read;
        }
    }

    private void Complain(long number, BadLineFault fault, string typed = "")
    {
        Bad++;
        if (_badLines.Count < MostBadLines)
            _badLines.Add(new(number, fault, PlainText.Line(typed, MostShown)));
    }

    private bool ReadHeader(string line)
    {
        if (line.StartsWith('{') || SplitCsv(line) is not { } fields || !fields.Any(field => s_names.GetValueOrDefault(field.Trim()) == "address"))
            return false;
        _header = [.. fields.Select(field => s_names.GetValueOrDefault(field.Trim(), ""))];
        return true;
    }

    /// <summary>What the line says; or what is wrong with it.</summary>
    private (BadLineFault Fault, string Typed) Parse(string line, out Suppression read)
    {
        read = new(sender.Sender, "", SuppressionCause.Operator, "", now, now + sender.KeepFor);
        if (line.Contains('\uFFFD', StringComparison.Ordinal))
            return (BadLineFault.NotUtf8, "");
        var values = line.StartsWith('{') ? ReadJson(line) : ReadCsv(line);
        if (values is null)
            return (line.StartsWith('{') ? BadLineFault.NotJson : BadLineFault.NotCsv, "");
        var typed = values.GetValueOrDefault("address", "").Trim();
        if (MailNames.Address(typed, out var address) is not null)
            return (BadLineFault.NotAnAddress, typed);
        var cause = SuppressionCause.Operator;
        if (values.GetValueOrDefault("cause", "") is { Length: > 0 } word && !(char.IsAsciiLetter(word[0]) && Enum.TryParse(word, ignoreCase: true, out cause) && Enum.IsDefined(cause)))
            return (BadLineFault.NotACause, word);
        var since = now;
        if (values.GetValueOrDefault("since", "") is { Length: > 0 } from && (!TryParseTime(from, out since) || since > now))
            return (BadLineFault.NotATimeThatHasPassed, from);
        var until = read.Until;
        if (values.GetValueOrDefault("until", "") is { Length: > 0 } end)
        {
            if (end.Equals("never", StringComparison.OrdinalIgnoreCase))
                until = null;
            else if (TryParseTime(end, out var time))
                until = time;
            else
                return (BadLineFault.NotATime, end);
        }
        read = read with { Address = address, Cause = cause, Reason = SuppressionStore.ReasonOf(values.GetValueOrDefault("reason", "")), Since = since, Until = until };
        return default;
    }

    private Dictionary<string, string>? ReadCsv(string line)
    {
        if (SplitCsv(line) is not { } fields)
            return null;
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (column, field) in _header.Zip(fields))
            values[column] = field.Trim();
        return values;
    }

    private static Dictionary<string, string>? ReadJson(string line)
    {
        try
        {
            using var json = JsonDocument.Parse(line, new JsonDocumentOptions { MaxDepth = 8 });
            var values = new Dictionary<string, string>(StringComparer.Ordinal);
            foreach (var property in json.RootElement.EnumerateObject())
            {
                if (!s_names.TryGetValue(property.Name, out var name))
                    continue;
                if (property.Value.ValueKind is not (JsonValueKind.String or JsonValueKind.Number or JsonValueKind.Null))
                    return null;
                values[name] = property.Value.ToString();
            }
            return values;
        }
        // A text with half a character cannot be read out of JSON.
        catch (Exception unreadable) when (unreadable is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>RFC 4180, of one line; null where a quotation mark has no end or something behind it.</summary>
    private static List<string>? SplitCsv(string line)
    {
        var fields = new List<string>();
        for (var at = 0; ;)
        {
            var field = new StringBuilder();
            if (at < line.Length && line[at] == '"')
            {
                for (at++; ; at++)
                {
                    if (at >= line.Length)
                        return null;
                    if (line[at] != '"')
                        field.Append(line[at]);
                    else if (at + 1 < line.Length && line[at + 1] == '"')
                        field.Append(line[at++]);
                    else
                        break;
                }
                at++;
                if (at < line.Length && line[at] != ',')
                    return null;
            }
            else
            {
                for (; at < line.Length && line[at] != ','; at++)
                    field.Append(line[at]);
            }
            fields.Add(field.ToString());
            if (at >= line.Length)
                return fields;
            at++;
        }
    }

    private static string Quote(string value) => value.AsSpan().IndexOfAny(",\"") >= 0 || value.Trim().Length != value.Length
        ? $"\"{value.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : value;

    private static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    /// <summary>A date or a time, or seconds since 1970.</summary>
    private static bool TryParseTime(string text, out DateTimeOffset time)
    {
        if (!long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds))
            return DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out time) && time.Year < 9999;
        time = seconds < 32_503_680_000 ? DateTimeOffset.FromUnixTimeSeconds(seconds) : default;
        return time != default;
    }
}

/// <summary>Lines of a text that may be endless, and have endless lines: no more than one of a bounded length is in memory.</summary>
internal sealed class BoundedLines(TextReader text)
{
    public const int MostCharacters = 4096;

    private readonly char[] _buffer = new char[8192];
    private int _at;
    private int _length;

    /// <summary>Null: there is none left. Of one that is too long its beginning.</summary>
    public async ValueTask<(string Text, bool IsTooLong)?> NextAsync(CancellationToken cancellation)
    {
        var line = new StringBuilder();
        var (isTooLong, isThere) = (false, false);
        while (true)
        {
            if (_at == _length)
            {
                (_at, _length) = (0, await text.ReadAsync(_buffer, cancellation));
                if (_length == 0)
                    return isThere ? (line.ToString().TrimEnd('\r'), isTooLong) : null;
            }
            isThere = true;
            var end = Array.IndexOf(_buffer, '\n', _at, _length - _at);
            var piece = (end < 0 ? _length : end) - _at;
            var room = Math.Min(piece, MostCharacters - line.Length);
            line.Append(_buffer, _at, room);
            isTooLong |= room < piece;
            _at += piece;
            if (end < 0)
                continue;
            _at++;
            return (line.ToString().TrimEnd('\r'), isTooLong);
        }
    }
}
