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
    /// How long a claim is held without being renewed. Default 15 s: three renewals of 5 s may be missed before another
    /// worker takes over. It is measured by the store's clock.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00.100", "01:00:00")]
    public TimeSpan ClaimLease { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>How long a POP3 session holds its maildrop without renewing. Default 30 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.100", "01:00:00")]
    public TimeSpan MaildropLease { get; set; } = TimeSpan.FromSeconds(30);

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

    /// <summary>
    /// What separates a user from a detail in the local part of an address of ours (RFC 5233); each character is a separator. Default "+",
    /// as everywhere; empty: there are no details. The same for all processes on one store.
    /// </summary>
    [RegularExpression("[!#$%&'*+/=?^_`{|}~-]{0,8}", ErrorMessage = "The field StorageOptions.DetailSeparators must be up to 8 of the characters !#$%&'*+-/=?^_`{|}~")]
    public string DetailSeparators { get; set; } = "+";

    /// <summary>How long a change by the command line may go unnoticed by a running server. Default 1 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan DirectoryCacheTime { get; set; } = TimeSpan.FromSeconds(1);
}

[OptionsValidator]
internal sealed partial class StorageOptionsValidator : IValidateOptions<StorageOptions>;
