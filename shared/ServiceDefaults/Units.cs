using System.Globalization;
using System.Text.RegularExpressions;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// Times and sizes as people write them, in settings and in what commands print: <c>1h30m</c>, <c>2d</c>, <c>250ms</c>; <c>100MB</c>,
/// <c>64KiB</c>. What is no such text is left to the forms of .NET.
/// </summary>
public static partial class Units
{
    public const string TimeForm = "a time such as 5m, 1h30m, 2d or 00:05:00";
    public const string SizeForm = "a size such as 100MB, 64KiB or 65536";

    private static readonly (string Unit, long Ticks)[] s_times =
    [
        ("d", TimeSpan.TicksPerDay), ("h", TimeSpan.TicksPerHour), ("ms", TimeSpan.TicksPerMillisecond), ("m", TimeSpan.TicksPerMinute),
        ("s", TimeSpan.TicksPerSecond),
    ];

    // Powers of ten, and powers of two by IEC 80000-13.
    private static readonly (string Unit, long Bytes)[] s_sizes =
    [
        ("B", 1), ("KB", 1000), ("MB", 1000_000), ("GB", 1000_000_000), ("TB", 1000_000_000_000),
        ("KiB", 1L << 10), ("MiB", 1L << 20), ("GiB", 1L << 30), ("TiB", 1L << 40),
    ];

    /// <summary>Numbers with units, larger units first, each once: "1h30m", "1.5h", "90s".</summary>
    public static bool TryParseTime(string text, out TimeSpan time)
    {
        time = default;
        if (!TimeText().IsMatch(text))
            return false;
        var ticks = 0m;
        var last = decimal.MaxValue;
        foreach (Match part in TimePart().Matches(text))
        {
            var unit = s_times.First(known => known.Unit.Equals(part.Groups["unit"].Value, StringComparison.OrdinalIgnoreCase)).Ticks;
            if (unit >= last || !TryMultiply(part.Groups["number"].Value, unit, out var product))
                return false;
            last = unit;
            ticks += product;
        }
        if (ticks > TimeSpan.MaxValue.Ticks)
            return false;
        time = TimeSpan.FromTicks((long)ticks);
        return true;
    }

    /// <summary>One number with a unit: "100MB", "1.5 GiB".</summary>
    public static bool TryParseSize(string text, out long bytes)
    {
        bytes = 0;
        if (SizeText().Match(text) is not { Success: true } match)
            return false;
        var unit = s_sizes.First(known => known.Unit.Equals(match.Groups["unit"].Value, StringComparison.OrdinalIgnoreCase)).Bytes;
        if (!TryMultiply(match.Groups["number"].Value, unit, out var product) || product > long.MaxValue)
            return false;
        bytes = (long)product;
        return true;
    }

    /// <summary>"331 bytes", "2 KiB", "47.7 MiB".</summary>
    public static string Size(long bytes)
    {
        if (bytes < 1024)
            return bytes == 1 ? "1 byte" : string.Create(CultureInfo.InvariantCulture, $"{bytes} bytes");
        var (unit, size) = s_sizes.Where(known => known.Unit.EndsWith("iB", StringComparison.Ordinal)).Last(known => known.Bytes <= bytes);
        return string.Create(CultureInfo.InvariantCulture, $"{(double)bytes / size:0.#} {unit}");
    }

    private static bool TryMultiply(string number, long unit, out decimal product)
    {
        product = 0;
        // Far more than any setting, and far from what a decimal can hold.
        if (number.Length > 15 || !decimal.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value))
            return false;
        product = value * unit;
        return true;
    }

    [GeneratedRegex(@"^\s*(\d+(\.\d+)?\s*(d|h|ms|m|s)\s*)+\z", RegexOptions.IgnoreCase)]
    private static partial Regex TimeText();

    [GeneratedRegex(@"(?<number>\d+(\.\d+)?)\s*(?<unit>d|h|ms|m|s)", RegexOptions.IgnoreCase)]
    private static partial Regex TimePart();

    [GeneratedRegex(@"^\s*(?<number>\d+(\.\d+)?)\s*(?<unit>[KMGT]i?B|B)\s*\z", RegexOptions.IgnoreCase)]
    private static partial Regex SizeText();
}
