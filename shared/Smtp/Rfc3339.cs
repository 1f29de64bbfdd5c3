using System.Globalization;

namespace MailPipeline.Smtp;

/// <summary>Times of the form "2030-01-02T12:00:00Z" (RFC 3339 §5.6, date-time), read strictly.</summary>
internal static class Rfc3339
{
    /// <summary>A day and a time, without what may stand behind the seconds.</summary>
    private const int LeastLength = 19;

    /// <summary>In whole seconds of UTC.</summary>
    public static string Write(DateTimeOffset time) => time.ToUniversalTime().ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    /// <summary>A fraction of a second is read and dropped: the time is never later than the one that is written.</summary>
    public static bool TryParse(ReadOnlySpan<byte> text, out DateTimeOffset time)
    {
        time = default;
        if (text.Length <= LeastLength || text[4] != '-' || text[7] != '-' || text[10] is not ((byte)'T' or (byte)'t') || text[13] != ':' || text[16] != ':')
            return false;
        if (Number(text[..4]) is not ({ } year and >= 1) || Number(text[5..7]) is not ({ } month and >= 1 and <= 12)
            || Number(text[8..10]) is not ({ } day and >= 1) || day > DateTime.DaysInMonth(year, month)
            || Number(text[11..13]) is not ({ } hour and <= 23) || Number(text[14..16]) is not ({ } minute and <= 59)
            // RFC 3339 §5.7: a leap second.
            || Number(text[17..19]) is not ({ } second and <= 60) || !TryReadOffset(text[LeastLength..], out var offset))
        {
            return false;
        }

        var ticks = new DateTime(year, month, day, hour, minute, 0, DateTimeKind.Utc).Ticks + (second * TimeSpan.TicksPerSecond) - offset.Ticks;
        time = new DateTimeOffset(Math.Clamp(ticks, DateTime.MinValue.Ticks, DateTime.MaxValue.Ticks), TimeSpan.Zero);
        return true;
    }

    /// <summary>A fraction, then "Z" or the distance from UTC.</summary>
    private static bool TryReadOffset(ReadOnlySpan<byte> text, out TimeSpan offset)
    {
        offset = default;
        if (text[0] == '.')
        {
            var end = text[1..].IndexOfAnyExceptInRange((byte)'0', (byte)'9');
            if (end <= 0)
                return false;
            text = text[(end + 1)..];
        }

        if (text is [(byte)'Z' or (byte)'z'])
            return true;
        if (text.Length != 6 || text[0] is not ((byte)'+' or (byte)'-') || text[3] != ':'
            || Number(text[1..3]) is not ({ } hours and <= 23) || Number(text[4..]) is not ({ } minutes and <= 59))
        {
            return false;
        }

        offset = new TimeSpan(hours, minutes, 0) * (text[0] == '-' ? -1 : 1);
        return true;
    }

    /// <summary>Null: these are not all digits.</summary>
    private static int? Number(ReadOnlySpan<byte> digits)
    {
        var number = 0;
        foreach (var digit in digits)
        {
            if (digit is < (byte)'0' or > (byte)'9')
                return null;
            number = (number * 10) + digit - '0';
        }

        return number;
    }
}
