using System.Data.Common;

namespace MailPipeline.Storage;

/// <summary>Times as storage keeps them: milliseconds since 1970.</summary>
public static class StoredTime
{
    private const long NoEnd = 253_402_300_800_000;

    /// <summary>What lies behind the last time that there is counts as that one.</summary>
    public static DateTimeOffset Read(DbDataReader row, int column) =>
        row.GetInt64(column) is var milliseconds and < NoEnd ? DateTimeOffset.FromUnixTimeMilliseconds(milliseconds) : DateTimeOffset.MaxValue;
}
