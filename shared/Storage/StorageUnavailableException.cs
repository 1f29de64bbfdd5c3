using System.Data.Common;

namespace MailPipeline.Storage;

/// <summary>The store could not do what was asked; nothing was lost that had been promised.</summary>
public sealed class StorageUnavailableException(StorageFault fault, string message, Exception? inner = null)
    : DbException(message, inner)
{
    public StorageFault Fault { get; } = fault;
}

public enum StorageFault
{
    /// <summary>Not now: locked, I/O error, connection refused. Nothing was committed. SMTP: 451 4.3.0.</summary>
    Unavailable,

    /// <summary>No space. Nothing was committed. SMTP: 452 4.3.1.</summary>
    Full,

    /// <summary>
    /// Contact was lost, or the disk failed, while committing: it may or may not have happened. SMTP: close without a reply.
    /// </summary>
    OutcomeUnknown,

    /// <summary>Not this: the store refuses what it was given, and would again. Nothing was committed. SMTP: 451 4.3.0.</summary>
    Refused,
}
