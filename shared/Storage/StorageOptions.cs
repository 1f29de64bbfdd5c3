using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace MailPipeline.Storage;

/// <summary>Where the durable truth lives and how it is written. Section "Storage"; the connection string is "maildb".</summary>
public sealed class StorageOptions
{
    public const string SectionName = "Storage";

    /// <summary>
    /// ADO.NET connection string; it chooses the engine. "Data Source=..." is SQLite (one process), "Host=..." is PostgreSQL.
    /// </summary>
    public string ConnectionString { get; set; } = "";

    /// <summary>
    /// Content up to this size lies in its table row beside SQLite; larger content goes to segment files. Default 16 KiB:
    /// above it the WAL's second copy costs more than the segment's own sync.
    /// </summary>
    [Range(0, 1024 * 1024)]
    public int InlineContentBytes { get; set; } = 16 * 1024;

    /// <summary>Most bytes of one message held in memory while it is received or sent. Default 256 KiB.</summary>
    [Range(4096, 16 * 1024 * 1024)]
    public int ChunkBytes { get; set; } = 256 * 1024;

    /// <summary>A segment file is closed for appending at this size. Default 64 MiB.</summary>
    [Range(1024 * 1024, 16L * 1024 * 1024 * 1024)]
    public long SegmentBytes { get; set; } = 64L * 1024 * 1024;

    /// <summary>Most callers that share one transaction. Default 256; bounds the latency of a commit.</summary>
    [Range(1, 10_000)]
    public int MaxCommitBatch { get; set; } = 256;

    /// <summary>
    /// Free space on the disk of the data folder below which new mail is refused with 452, so that what was accepted can
    /// still be moved on. Default 64 MiB; SQLite only.
    /// </summary>
    [Range(0, long.MaxValue)]
    public long ReservedFreeBytes { get; set; } = 64L * 1024 * 1024;

    /// <summary>
    /// Size of the database, as PostgreSQL tells it, from which on new mail is refused with 452: below the size of its volume, so that
    /// what was accepted can still be moved on. Default 0: no bound; PostgreSQL only.
    /// </summary>
    [Range(0, long.MaxValue)]
    public long MaxDatabaseBytes { get; set; }

    /// <summary>
    /// PostgreSQL: how long content without a message is left alone before it counts as abandoned by a process that died. Default
    /// 2 days: receiving a message takes a day at most (Ingress:MaxContentTime). One that takes longer is refused with 451.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "60.00:00:00")]
    public TimeSpan AbandonedContentAge { get; set; } = TimeSpan.FromDays(2);
}

[OptionsValidator]
internal sealed partial class StorageOptionsValidator : IValidateOptions<StorageOptions>;
